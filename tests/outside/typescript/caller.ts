// A caller in TypeScript: compiled strictly against what protoc-gen-es makes of the contract.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { DecisionKind } from "./generated/holdline/v1/decision_pb.js";
import {
  DecideRequestSchema, DecideResponseSchema, LimitService, type DecideResponse,
} from "./generated/holdline/v1/limit_service_pb.js";

export const request: Uint8Array = toBinary(
  DecideRequestSchema,
  create(DecideRequestSchema, { requestId: "ts-1", accountId: "a", product: "revolving", kind: DecisionKind.ASSIGN }),
);

export function granted(answer: Uint8Array): bigint {
  const response: DecideResponse = fromBinary(DecideResponseSchema, answer);
  return response.decision?.newLimit?.minorUnits ?? 0n;
}

export const path = `/${LimitService.typeName}/${LimitService.method.decide.name}`;
