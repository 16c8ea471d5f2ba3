//! The numbers of a client and its operation in one: as the name of the request, and as the id by which
//! the cluster knows the operation. A retry is an operation of its own; what it asks for keeps its id.

use kv_core::types::{ClientRequest, RequestId};

/// The name of an operation over the whole world.
pub fn client_request(client: u32, operation: u32) -> ClientRequest {
    ClientRequest(u64::from(client) << 32 | u64::from(operation))
}

/// The client and its operation that a name stands for.
pub const fn client_of(request: ClientRequest) -> (u32, u32) {
    ((request.0 >> 32) as u32, request.0 as u32)
}

/// The client and its operation that the cluster knows by this id; none, if no client asked.
pub fn client_operation_of(request: RequestId) -> Option<(u32, u32)> {
    let number = request.0.checked_sub(1 << 64)?;
    u64::try_from(number).ok().map(|number| client_of(ClientRequest(number)))
}

/// The id by which the cluster knows an operation.
pub(super) fn request_id(client: u32, operation: u32) -> RequestId {
    RequestId(u128::from(client_request(client, operation).0) + (1 << 64))
}

/// The client and its operation that a request belongs to; none, for the nodes' own work.
pub const fn requester_of(request: RequestId) -> Option<(u32, u32)> {
    if request.0 >> 64 != 1 {
        return None;
    }
    Some(client_of(ClientRequest(request.0 as u64)))
}
