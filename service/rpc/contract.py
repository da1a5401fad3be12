"""The contract's services by name, for health and reflection."""

from typing import Final

from holdline.v1 import (
    feedback_service_pb2,
    limit_service_pb2,
    outbox_service_pb2,
    playbook_service_pb2,
    policy_service_pb2,
    run_service_pb2,
)

SERVICE_NAMES: Final = tuple(
    str(service.full_name)
    for file in (
        limit_service_pb2.DESCRIPTOR,
        policy_service_pb2.DESCRIPTOR,
        playbook_service_pb2.DESCRIPTOR,
        run_service_pb2.DESCRIPTOR,
        outbox_service_pb2.DESCRIPTOR,
        feedback_service_pb2.DESCRIPTOR,
    )
    for service in file.services_by_name.values()
)
