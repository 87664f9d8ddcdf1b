//! The device that trains: chosen once for the process, as the thread pool is.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use anyhow::{Result, bail, ensure};
use onshelf_model::Device;

/// Where tensors live and are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// This machine's processors, with SIMD.
    #[default]
    Flex,
    /// A GPU through wgpu (Vulkan, Metal, DirectX 12); needs the feature `wgpu`.
    Wgpu,
    /// An NVIDIA GPU; needs the feature `cuda`.
    Cuda,
}

static CHOSEN: OnceLock<DeviceChoice> = OnceLock::new();

impl DeviceChoice {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Flex, Self::Wgpu, Self::Cuda];

    /// The name for `--device`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
        }
    }

    /// Whether this build has it.
    #[must_use]
    pub const fn is_built(self) -> bool {
        match self {
            Self::Flex => true,
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Cuda => cfg!(feature = "cuda"),
        }
    }

    fn open(self) -> Device {
        match self {
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Device::wgpu(onshelf_model::DeviceKind::DefaultDevice),
            #[cfg(feature = "cuda")]
            Self::Cuda => Device::cuda(0),
            _ => Device::flex(),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DeviceChoice {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|choice| choice.as_str() == name) {
            Some(choice) if choice.is_built() => Ok(choice),
            Some(_) => bail!(
                "this build has no device {name}; build with `cargo build --release -p onshelf-trainer --features {name}`"
            ),
            None => bail!("unknown device {name:?}; known are {}", Self::ALL.map(Self::as_str).join(", ")),
        }
    }
}

/// Chooses the device of this process.
///
/// # Errors
/// Where another one was chosen before.
pub fn choose(choice: DeviceChoice) -> Result<()> {
    let chosen = *CHOSEN.get_or_init(|| choice);
    ensure!(chosen == choice, "this process computes on {chosen} already");
    Ok(())
}

/// The device of this process.
pub(crate) fn device() -> Device {
    CHOSEN.get().copied().unwrap_or_default().open()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_and_what_is_not_built_says_how_to_build_it() {
        for choice in DeviceChoice::ALL {
            let parsed = choice.as_str().parse::<DeviceChoice>();
            if choice.is_built() {
                assert_eq!(parsed.unwrap(), choice);
            } else {
                let error = parsed.unwrap_err().to_string();
                assert!(error.contains(&format!("--features {choice}")), "{error}");
            }
        }
        let error = "tpu".parse::<DeviceChoice>().unwrap_err().to_string();
        assert!(error.contains("flex, wgpu, cuda"), "{error}");
    }
}
