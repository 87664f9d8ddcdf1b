//! Logs in an object store, read by ranges so that no file has to be in memory.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};
use tokio::runtime::{Builder, Runtime};

/// Bytes that are asked for at once: few requests, little memory.
const BLOCK: u64 = 4 << 20;
/// Blocks of a Parquet file that are kept. Its columns are read side by side, and a log has at most
/// six that are wanted.
const KEPT: usize = 12;

/// A file or a folder of an object store.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    connection: Arc<Connection>,
    path: Path,
    /// `None` for a folder.
    file: Option<ObjectMeta>,
}

#[derive(Debug)]
struct Connection {
    store: Box<dyn ObjectStore>,
    /// Requests are made one by one from this thread.
    runtime: Runtime,
    /// What an address begins with, such as `s3://bucket`.
    root: String,
}

impl Connection {
    fn wait<T>(&self, request: impl Future<Output = object_store::Result<T>>) -> object_store::Result<T> {
        self.runtime.block_on(request)
    }
}

impl Remote {
    /// Looks at a `file://` or `s3://` address.
    pub(super) fn open(url: &str) -> Result<Self> {
        let (store, root, path) = crate::store::open(url)?;
        Self::in_store(store, &root, &path)
    }

    /// Looks at a path, percent-encoded as in an address, of a store.
    pub(super) fn in_store(store: Box<dyn ObjectStore>, root: &str, path: &str) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let connection = Connection { store, runtime, root: root.to_owned() };
        let path = Path::from_url_path(path)?;
        let mut found = Self { connection: Arc::new(connection), path, file: None };
        // The root of a store has no name that could be asked for.
        if !found.path.as_ref().is_empty() {
            found.file = found.look(&found.path)?;
        }
        Ok(found)
    }

    pub(super) fn is_folder(&self) -> bool {
        self.file.is_none()
    }

    /// The last part of its path.
    pub(super) fn name(&self) -> String {
        self.path.filename().unwrap_or_default().to_owned()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.file.as_ref().map_or(0, |meta| meta.size)
    }

    /// The files right in this folder, and the folders.
    pub(super) fn list(&self) -> Result<(Vec<Self>, Vec<Self>)> {
        let listed = self.connection.store.list_with_delimiter(Some(&self.path));
        let listed = self.connection.wait(listed).with_context(|| self.to_string())?;
        let files = listed.objects.into_iter().map(|meta| Self {
            path: meta.location.clone(),
            file: Some(meta),
            connection: Arc::clone(&self.connection),
        });
        let folders = listed.common_prefixes.into_iter();
        let folders = folders.map(|path| Self { path, file: None, connection: Arc::clone(&self.connection) });
        Ok((files.collect(), folders.collect()))
    }

    /// The file of another name in the same folder, if there is one.
    pub(super) fn sibling(&self, name: &str) -> Result<Option<Self>> {
        let mut parts: Vec<_> = self.path.parts().collect();
        parts.pop();
        let path: Path = parts.into_iter().chain([name.into()]).collect();
        let file = self.look(&path)?;
        Ok(file.map(|meta| Self { path, file: Some(meta), connection: Arc::clone(&self.connection) }))
    }

    /// Reads the file from its beginning.
    pub(super) fn read(&self) -> impl Read + use<> {
        Stream { file: self.clone(), at: 0, block: Bytes::new() }
    }

    /// Reads the file anywhere.
    pub(super) fn blocks(&self) -> Blocks {
        Blocks { file: self.clone(), kept: Arc::new(Mutex::new(VecDeque::new())) }
    }

    fn look(&self, path: &Path) -> Result<Option<ObjectMeta>> {
        match self.connection.wait(self.connection.store.head(path)) {
            Ok(meta) => Ok(Some(meta)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{}/{path}", self.connection.root)),
        }
    }

    /// The block of the file from `at` on.
    fn block(&self, at: u64) -> io::Result<Bytes> {
        let end = (at + BLOCK).min(self.bytes());
        if at >= end {
            return Ok(Bytes::new());
        }
        // A file that is replaced meanwhile gives an error instead of a mixture.
        let if_match = self.file.as_ref().and_then(|meta| meta.e_tag.clone());
        let options = GetOptions { range: Some((at..end).into()), if_match, ..GetOptions::default() };
        let request = async {
            let answer = self.connection.store.get_opts(&self.path, options).await?;
            answer.bytes().await
        };
        let block = self.connection.wait(request).map_err(io::Error::other)?;
        if block.len() as u64 == end - at { Ok(block) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.connection.root, self.path)
    }
}

struct Stream {
    file: Remote,
    at: u64,
    block: Bytes,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.block.is_empty() {
            self.block = self.file.block(self.at)?;
            self.at += self.block.len() as u64;
        }
        let read = buffer.len().min(self.block.len());
        buffer[..read].copy_from_slice(&self.block.split_to(read));
        Ok(read)
    }
}

/// A file of which the last few blocks are kept.
#[derive(Clone)]
pub(super) struct Blocks {
    file: Remote,
    kept: Arc<Mutex<VecDeque<(u64, Bytes)>>>,
}

impl Blocks {
    /// What the block around a position holds from there on.
    fn from(&self, at: u64) -> io::Result<Bytes> {
        let begin = at / BLOCK * BLOCK;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let block =
            match kept.iter().position(|(block, _)| *block == begin).and_then(|place| kept.remove(place)) {
                Some((_, block)) => block,
                None => self.file.block(begin)?,
            };
        kept.truncate(KEPT - 1);
        kept.push_front((begin, block.clone()));
        let skipped = usize::try_from(at - begin).map_err(io::Error::other)?;
        Ok(block.slice(skipped.min(block.len())..))
    }
}

impl Length for Blocks {
    fn len(&self) -> u64 {
        self.file.bytes()
    }
}

impl ChunkReader for Blocks {
    type T = BlockReader;

    fn get_read(&self, start: u64) -> ParquetResult<BlockReader> {
        Ok(BlockReader { blocks: self.clone(), at: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let mut found = self.from(start)?;
        if found.len() >= length {
            return Ok(found.split_to(length));
        }
        let mut all = BytesMut::with_capacity(length);
        while !found.is_empty() && all.len() < length {
            let wanted = found.len().min(length - all.len());
            all.extend_from_slice(&found[..wanted]);
            found = self.from(start + all.len() as u64)?;
        }
        if all.len() == length {
            return Ok(all.freeze());
        }
        Err(ParquetError::EOF(format!("{length} bytes at {start} of {}", self.file.bytes())))
    }
}

/// Reads on from a position.
pub(super) struct BlockReader {
    blocks: Blocks,
    at: u64,
}

impl Read for BlockReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let found = self.blocks.from(self.at)?;
        let read = buffer.len().min(found.len());
        buffer[..read].copy_from_slice(&found[..read]);
        self.at += read as u64;
        Ok(read)
    }
}
