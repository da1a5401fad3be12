"""Every error that an RPC answers in tests is one that the contract's comment on it names."""

from google.rpc import error_details_pb2, status_pb2

from service.rpc.methods import METHODS
from service.rpc.refusals import is_stated


def is_named(method: int, status: bytes) -> bool:
    """Claim that an RPC's comment names the reason of a status, given as bytes of google.rpc.Status."""
    info = error_details_pb2.ErrorInfo()
    for detail in status_pb2.Status.FromString(status).details:
        if detail.Is(info.DESCRIPTOR):
            detail.Unpack(info)
    return is_stated(METHODS[method], info.reason)
