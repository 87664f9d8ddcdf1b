//! Errors as a page sees them: an `Error` with a stable `code` and a `remedy`.

use onshelf_core::catalogue::CatalogueError;
use onshelf_core::version::VersionError;
use onshelf_core::weights::WeightsError;
use onshelf_model::ModelError;
use onshelf_model::shopper::RequestError;
use wasm_bindgen::JsValue;

/// Stable names of what can go wrong; none is ever renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidRequest,
    UnknownItem,
    NotLoaded,
    ManifestInvalid,
    SignatureInvalid,
    UntrustedKey,
    HashMismatch,
    FileTruncated,
    FormatTooNew,
    CatalogueInvalid,
    Network,
    #[cfg(feature = "webgpu")]
    DeviceUnavailable,
    DeviceLost,
    StorageUnavailable,
    StorageFull,
    StateCorrupt,
    StateVersion,
    NotFinite,
    #[cfg(feature = "sync")]
    TaskInvalid,
    #[cfg(feature = "sync")]
    TaskMismatch,
    #[cfg(feature = "sync")]
    TaskExpired,
    #[cfg(feature = "sync")]
    HpkeMismatch,
    #[cfg(feature = "sync")]
    RelayMismatch,
    #[cfg(feature = "sync")]
    SyncUnavailable,
    #[cfg(any(feature = "cpu", feature = "sync"))]
    LogInvalid,
    Panic,
}

impl Code {
    fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::UnknownItem => "UNKNOWN_ITEM",
            Self::NotLoaded => "NOT_LOADED",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::SignatureInvalid => "SIGNATURE_INVALID",
            Self::UntrustedKey => "UNTRUSTED_KEY",
            Self::HashMismatch => "HASH_MISMATCH",
            Self::FileTruncated => "FILE_TRUNCATED",
            Self::FormatTooNew => "FORMAT_TOO_NEW",
            Self::CatalogueInvalid => "CATALOGUE_INVALID",
            Self::Network => "NETWORK",
            #[cfg(feature = "webgpu")]
            Self::DeviceUnavailable => "DEVICE_UNAVAILABLE",
            Self::DeviceLost => "DEVICE_LOST",
            Self::StorageUnavailable => "STORAGE_UNAVAILABLE",
            Self::StorageFull => "STORAGE_FULL",
            Self::StateCorrupt => "STATE_CORRUPT",
            Self::StateVersion => "STATE_VERSION",
            Self::NotFinite => "NOT_FINITE",
            #[cfg(feature = "sync")]
            Self::TaskInvalid => "TASK_INVALID",
            #[cfg(feature = "sync")]
            Self::TaskMismatch => "TASK_MISMATCH",
            #[cfg(feature = "sync")]
            Self::TaskExpired => "TASK_EXPIRED",
            #[cfg(feature = "sync")]
            Self::HpkeMismatch => "HPKE_MISMATCH",
            #[cfg(feature = "sync")]
            Self::RelayMismatch => "RELAY_MISMATCH",
            #[cfg(feature = "sync")]
            Self::SyncUnavailable => "SYNC_UNAVAILABLE",
            #[cfg(any(feature = "cpu", feature = "sync"))]
            Self::LogInvalid => "LOG_INVALID",
            Self::Panic => "PANIC",
        }
    }
}

/// An error on its way to JavaScript. The page's package adds the usual remedy of each code.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        let error = js_sys::Error::new(&failure.message);
        // Setting a property of a fresh object cannot fail.
        let _ = js_sys::Reflect::set(&error, &"code".into(), &failure.code.as_str().into());
        error.into()
    }
}

impl From<VersionError> for Failure {
    fn from(error: VersionError) -> Self {
        let code = match &error {
            VersionError::UntrustedKey { .. } | VersionError::BadKey(_) => Code::UntrustedKey,
            VersionError::BadSignature(_) => Code::SignatureInvalid,
            VersionError::Length { .. } => Code::FileTruncated,
            VersionError::Hash { .. } => Code::HashMismatch,
            VersionError::TooNew { .. } => Code::FormatTooNew,
            _ => Code::ManifestInvalid,
        };
        Self::new(code, error.to_string())
    }
}

impl From<CatalogueError> for Failure {
    fn from(error: CatalogueError) -> Self {
        let code = match &error {
            CatalogueError::NewerFormat { .. } => Code::FormatTooNew,
            _ => Code::CatalogueInvalid,
        };
        Self::new(code, error.to_string())
    }
}

impl From<WeightsError> for Failure {
    fn from(error: WeightsError) -> Self {
        Self::new(Code::ManifestInvalid, error.to_string())
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        let code = match &error {
            ModelError::Device(_) => Code::DeviceLost,
            ModelError::NotFinite { .. } => Code::NotFinite,
            ModelError::StateTooNew { .. } => Code::StateVersion,
            ModelError::State(_) => Code::StateCorrupt,
            _ => Code::ManifestInvalid,
        };
        Self::new(code, error.to_string())
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Model(error) => error.into(),
            RequestError::UnknownItem(_) => Self::new(Code::UnknownItem, error.to_string()),
            _ => Self::new(Code::InvalidRequest, error.to_string()),
        }
    }
}
