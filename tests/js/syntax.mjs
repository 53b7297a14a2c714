// @ts-check
/**
 * What TypeScript's parser makes of modules: `node syntax.mjs FOLDER` prints, for each module below it, a digest of
 * its tokens with their lines, and the modules that it imports statically.
 */

import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import ts from "typescript";

const folder = process.argv[2];

/** @param {string} source */
function told(source) {
  const file = ts.createSourceFile("module.js", source, ts.ScriptTarget.Latest, false, ts.ScriptKind.JS);
  const digest = createHash("sha256");
  let tokens = 0;
  /** @param {ts.Node} node */
  const visit = (node) => {
    if (ts.isJSDoc(node)) return;
    const children = node.getChildren(file);
    if (children.length > 0) return children.forEach(visit);
    const { line } = file.getLineAndCharacterOfPosition(node.getStart(file));
    digest.update(`${node.kind} ${line} ${node.getText(file)}\n`);
    tokens++;
  };
  visit(file);
  const imports = file.statements.flatMap((statement) => {
    if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) return [];
    return statement.moduleSpecifier && ts.isStringLiteral(statement.moduleSpecifier) ? [statement.moduleSpecifier.text] : [];
  });
  return { tokens, digest: digest.digest("hex"), imports };
}

const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".js"));
const all = names.map((name) => [name, told(readFileSync(join(folder, name), "utf8"))]);
process.stdout.write(JSON.stringify(Object.fromEntries(all)));
