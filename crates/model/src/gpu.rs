//! Kernels of our own on Burn's wgpu runtime: written in WGSL, launched through CubeCL's client.
//!
//! What a student asks of a GPU is small in kind and large in number: sums of look-ups over the whole
//! catalogue, the best of them, and a softmax over the candidates of a step. Four kernels do that in one
//! submission and one read-back a shelf; as tensor operations it took twenty of the one and twice the
//! bytes of module, for kernels and compilers that were never called ([`crate::student`] has the rest).
//!
//! Reads are asynchronous: a browser cannot wait.

mod lesson;
mod shelf;

use burn_wgpu::graphics::AutoGraphicsApi;
use burn_wgpu::{
    CubeDim, KernelSource, RuntimeOptions, SourceKernel, SourceTemplate, WgpuDevice, try_init_setup_async,
};
use cubecl::bytes::Bytes;
use cubecl::client::Client;
use cubecl::prelude::{CubeCount, KernelId};
use cubecl::server::{Handle, KernelArguments};

use crate::error::ModelError;

pub(crate) use lesson::{Lessons, Rows};
pub(crate) use shelf::Shelf;

/// Threads of a workgroup in every kernel: what WebGPU promises on every adapter.
pub const GROUP: u32 = 256;

/// A GPU, with a queue of its own.
#[derive(Clone)]
pub struct Gpu {
    client: Client,
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gpu")
    }
}

/// Memory on a GPU, in words of four bytes.
#[derive(Clone)]
pub struct Buffer {
    handle: Handle,
    words: usize,
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({} words)", self.words)
    }
}

/// A kernel: WGSL with the entry point `main` and [`GROUP`] threads a workgroup; its buffers are the
/// bindings 0, 1, … of group 0.
#[derive(Clone, Debug)]
pub struct Kernel {
    name: &'static str,
    constants: String,
    body: Vec<&'static str>,
}

impl Kernel {
    /// `constants` become `const NAME = VALUEu;` above the parts of `body`. Kernels of one name and the same constants
    /// are compiled once.
    #[must_use]
    pub fn new(name: &'static str, constants: &[(&str, usize)], body: Vec<&'static str>) -> Self {
        let constants = constants.iter().map(|(name, value)| format!("const {name} = {value}u;\n")).collect();
        Self { name, constants, body }
    }
}

impl KernelSource for Kernel {
    fn source(&self) -> SourceTemplate {
        SourceTemplate::new(self.constants.clone() + &self.body.concat())
    }

    fn id(&self) -> KernelId {
        KernelId::new::<Self>().info((self.name, self.constants.clone()))
    }

    fn lang(&self) -> &'static str {
        "wgsl"
    }
}

impl Gpu {
    /// Opens the adapter that the browser (or the system) gives. Once a process: Burn refuses a second.
    ///
    /// # Errors
    /// [`ModelError::Device`] where there is none, or it offers too little.
    pub async fn open() -> Result<Self, ModelError> {
        let device = WgpuDevice::default();
        let lost = |e: &dyn std::fmt::Display| ModelError::Device(e.to_string());
        let options = RuntimeOptions::try_default().map_err(|e| lost(&e))?;
        try_init_setup_async::<AutoGraphicsApi>(&device, options).await.map_err(|e| lost(&e))?;
        Ok(Self { client: cubecl::Device::Wgpu(device).client() })
    }

    /// Memory with these words in it.
    #[must_use]
    pub fn upload(&self, words: Vec<u32>) -> Buffer {
        let count = words.len();
        Buffer { handle: self.client.create(Bytes::from_elems(words)), words: count }
    }

    /// Memory with these numbers in it.
    #[must_use]
    pub fn upload_floats(&self, numbers: &[f32]) -> Buffer {
        self.upload(bits(numbers))
    }

    /// Memory whose content is not defined.
    #[must_use]
    pub fn empty(&self, words: usize) -> Buffer {
        Buffer { handle: self.client.empty(words * 4), words }
    }

    /// Writes all of a buffer anew: the memory stays the same, so nothing grows.
    ///
    /// # Panics
    /// Where the lengths differ: a broken invariant of the caller.
    pub fn write(&self, buffer: &Buffer, words: Vec<u32>) {
        assert_eq!(words.len(), buffer.words, "words of a buffer");
        self.client.write(&buffer.handle, Bytes::from_elems(words));
    }

    /// Queues a kernel.
    pub fn launch(&self, kernel: &Kernel, groups: u32, buffers: &[&Buffer]) {
        let arguments =
            buffers.iter().fold(KernelArguments::new(), |all, b| all.with_buffer(b.handle.clone().binding()));
        let source = SourceKernel::new(kernel.clone(), CubeDim::new_1d(GROUP));
        self.client.launch(Box::new(source), CubeCount::Static(groups, 1, 1), arguments);
    }

    /// Waits for what was queued, and reads a buffer.
    ///
    /// # Errors
    /// [`ModelError::Device`] where the device was lost or a kernel refused.
    pub async fn read(&self, buffer: &Buffer) -> Result<Vec<u32>, ModelError> {
        let lost = |e: String| ModelError::Device(e);
        let read = self.client.read_async(vec![buffer.handle.clone()]).await;
        let bytes = read.map_err(|e| lost(e.to_string()))?.remove(0);
        let mut words: Vec<u32> =
            bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        if words.len() < buffer.words {
            return Err(lost(format!("a buffer of {} words came back with {}", buffer.words, words.len())));
        }
        words.truncate(buffer.words);
        Ok(words)
    }

    /// The same as numbers.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_floats(&self, buffer: &Buffer) -> Result<Vec<f32>, ModelError> {
        Ok(self.read(buffer).await?.into_iter().map(f32::from_bits).collect())
    }
}

/// Numbers as the words that hold them.
#[must_use]
pub fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}
