//! Personal state in IndexedDB: one record, replaced in one transaction, so that a tab closed in
//! the middle of a save leaves the old record whole.

use idb::{Database, DatabaseEvent, Factory, ObjectStoreParams, TransactionMode};
use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};

use crate::error::{Code, Failure};

const DATABASE: &str = "onshelf";
const STORE: &str = "personal";
const KEY: &str = "state";

/// A full disk and a forbidden database need different remedies.
fn failure(error: &idb::Error) -> Failure {
    let text = error.to_string();
    let code = if text.contains("QuotaExceeded") { Code::StorageFull } else { Code::StorageUnavailable };
    Failure::new(code, format!("IndexedDB: {text}"))
}

async fn open() -> Result<Database, idb::Error> {
    let mut request = Factory::new()?.open(DATABASE, Some(1))?;
    request.on_upgrade_needed(|event| {
        // A failure here aborts the upgrade, and the open request fails with it.
        if let Ok(database) = event.database() {
            let _ = database.create_object_store(STORE, ObjectStoreParams::new());
        }
    });
    request.await
}

/// Stores the record.
pub(crate) async fn save(state: &[u8]) -> Result<(), Failure> {
    let store = async {
        let database = open().await?;
        let transaction = database.transaction(&[STORE], TransactionMode::ReadWrite)?;
        let value: JsValue = Uint8Array::from(state).into();
        transaction.object_store(STORE)?.put(&value, Some(&KEY.into()))?.await?;
        let done = transaction.commit()?.await;
        database.close();
        done
    };
    match store.await {
        Ok(result) if result.is_committed() => Ok(()),
        Ok(_) => {
            Err(Failure::new(Code::StorageFull, "IndexedDB: the save was aborted; the old state is kept"))
        }
        Err(error) => Err(failure(&error)),
    }
}

/// Reads the record, if there is one.
pub(crate) async fn restore() -> Result<Option<Vec<u8>>, Failure> {
    let read = async {
        let database = open().await?;
        let transaction = database.transaction(&[STORE], TransactionMode::ReadOnly)?;
        let value = transaction.object_store(STORE)?.get(JsValue::from(KEY))?.await?;
        database.close();
        Ok(value)
    };
    let value: Option<JsValue> = read.await.map_err(|e: idb::Error| failure(&e))?;
    Ok(value.and_then(|v| v.dyn_into::<Uint8Array>().ok()).map(|bytes| bytes.to_vec()))
}

/// Deletes the record.
pub(crate) async fn erase() -> Result<(), Failure> {
    let delete = async {
        let database = open().await?;
        let transaction = database.transaction(&[STORE], TransactionMode::ReadWrite)?;
        transaction.object_store(STORE)?.delete(JsValue::from(KEY))?.await?;
        let done = transaction.commit()?.await;
        database.close();
        done
    };
    delete.await.map(|_| ()).map_err(|e| failure(&e))
}
