// Sends a message and lists messages with the client that was generated from the OpenAPI document.
import { getV1Messages, postV1Messages } from "./client";
import { client } from "./client/client.gen";

declare const process: { argv: string[] };
const [base, key, device, to] = process.argv.slice(2);
client.setConfig({ baseUrl: base, auth: () => key });

const main = async () => {
  const sent = await postV1Messages({ body: { device, to, text: "from TypeScript" }, throwOnError: true });
  const listed = await getV1Messages({ query: { direction: "out" }, throwOnError: true });
  const found = listed.data.data.find((message) => message.id === sent.data.id);
  console.log(JSON.stringify({ id: sent.data.id, text: found?.text }));
};

void main();
