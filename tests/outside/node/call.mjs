// A caller in another language: loads the protos, decides, retries, reads an error's details. Prints one JSON line.
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [target, protos, include] = process.argv.slice(2);
const definition = loader.loadSync("holdline/v1/limit_service.proto", {
  includeDirs: [protos, include], keepCase: true, longs: String, enums: String, defaults: true, oneofs: true,
});
const { LimitService } = grpc.loadPackageDefinition(definition).holdline.v1;
const client = new LimitService(target, grpc.credentials.createInsecure());
const metadata = new grpc.Metadata();
metadata.set("x-holdline-caller", "node");

const decide = (request) =>
  new Promise((resolve, reject) => {
    const deadline = new Date(Date.now() + 10_000);
    client.Decide(request, metadata, { deadline }, (error, response) => (error ? reject(error) : resolve(response)));
  });

const request = {
  request_id: "node-1", account_id: "node-account", product: "revolving", kind: "DECISION_KIND_ASSIGN",
  facts: {
    identity_level: 2, bureau_score: 720, monthly_income: { minor_units: "1200000", currency_code: "CNY" },
    enquiries_30d: 1, on_time_streak_months: 8, payment_ratio_bp: 9000, dpd_now: 0, dpd_max_12m: 0, late_months_12m: 0,
  },
};
const first = await decide(request);
const again = await decide(request);
const bad = await decide({ ...request, request_id: "", kind: 42 }).catch((error) => error);
console.log(JSON.stringify({
  outcome: first.decision.outcome, limit: first.account.balances.limit, replayed: [first.replayed, again.replayed],
  same: first.decision.decision_id === again.decision.decision_id, caller: first.decision.caller,
  code: bad.code, message: bad.details, has_details: bad.metadata.get("grpc-status-details-bin").length,
}));
client.close();
