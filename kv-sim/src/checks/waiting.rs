//! The operations for whose answers clients wait.

use kv_core::types::RequestId;

use super::operation::Operation;
use super::operation_number::OperationNumber;
use crate::hashing::Table;

/// The operations that were asked and not answered yet, by number, and by the id of the request.
#[derive(Clone, Debug, Default)]
pub(super) struct WaitingOperations {
    operations: Table<OperationNumber, Operation>,
    /// The operation that asked last under an id: a client may use one twice.
    by_request: Table<RequestId, OperationNumber>,
}

impl WaitingOperations {
    /// Takes an operation that was asked.
    pub(super) fn insert(&mut self, operation: Operation) {
        if let Some(request) = operation.request {
            self.by_request.insert(request, operation.number);
        }
        self.operations.insert(operation.number, operation);
    }

    /// The operation with this number.
    pub(super) fn get_mut(&mut self, number: OperationNumber) -> Option<&mut Operation> {
        self.operations.get_mut(&number)
    }

    /// The operation that asked last under an id.
    pub(super) fn asked(&mut self, request: RequestId) -> Option<&mut Operation> {
        self.operations.get_mut(self.by_request.get(&request)?)
    }

    /// Takes out an operation that has ended.
    pub(super) fn remove(&mut self, number: OperationNumber) -> Option<Operation> {
        let operation = self.operations.remove(&number)?;
        if let Some(request) = operation.request
            && self.by_request.get(&request) == Some(&number)
        {
            self.by_request.remove(&request);
        }
        Some(operation)
    }
}
