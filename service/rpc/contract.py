"""The files of the contract's services, and the services by name, for health and reflection."""

from typing import Final

from holdline.v1 import (
    account_service_pb2,
    draw_service_pb2,
    event_service_pb2,
    feedback_service_pb2,
    limit_service_pb2,
    notification_service_pb2,
    operation_service_pb2,
    playbook_service_pb2,
    policy_service_pb2,
    run_service_pb2,
)

FILES: Final = (
    limit_service_pb2, account_service_pb2, draw_service_pb2, event_service_pb2, policy_service_pb2,
    playbook_service_pb2, run_service_pb2, notification_service_pb2, feedback_service_pb2,
    operation_service_pb2,
)  # fmt: skip
SERVICE_NAMES: Final = tuple(
    str(service.full_name) for file in FILES for service in file.DESCRIPTOR.services_by_name.values()
)
