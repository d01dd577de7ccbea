// Puts the licences of all packages whose code is in the bundle into one file beside it.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

function packageOf(module) {
  const at = module.lastIndexOf("/node_modules/");
  if (at < 0) return null;
  const [first, second] = module.slice(at + "/node_modules/".length).split("/");
  const name = first.startsWith("@") ? `${first}/${second}` : first;
  return join(module.slice(0, at), "node_modules", name);
}

function textOf(directory) {
  const about = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
  const file = readdirSync(directory).find((name) => /^licen[cs]e(\.|$)/i.test(name));
  if (!file) throw new Error(`${about.name} carries no licence file`);
  return `${about.name} ${about.version} (${about.license})\n\n${readFileSync(join(directory, file), "utf8").trim()}\n`;
}

export function licences(fileName) {
  return {
    name: "licences",
    generateBundle() {
      const found = new Set([...this.getModuleIds()].map((id) => packageOf(id.split("?")[0].replaceAll("\0", ""))));
      const texts = [...found].filter((each) => each && existsSync(join(each, "package.json"))).sort().map(textOf);
      this.emitFile({ type: "asset", fileName, source: texts.join(`\n${"-".repeat(80)}\n\n`) });
    },
  };
}
