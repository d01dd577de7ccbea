// The report: one script and one style, which `wavepool report` writes into a file that needs nothing else.
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";
import { licences } from "./licences.js";

export default defineConfig({
  plugins: [svelte(), licences("licences.txt")],
  publicDir: false,
  build: {
    outDir: "../src/wavepool/reporting/static",
    emptyOutDir: true,
    cssCodeSplit: false,
    lib: { entry: "src/report.js", formats: ["iife"], name: "report", fileName: () => "report.js", cssFileName: "report" },
  },
});
