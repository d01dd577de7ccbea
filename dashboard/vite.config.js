// The page: dashboard/ -> src/wavepool/web/static, which is git-ignored and goes into the wheel.
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";
import { licences } from "./licences.js";

export default defineConfig({
  plugins: [svelte(), licences("licences.txt")],
  base: "./",
  build: { outDir: "../src/wavepool/web/static", emptyOutDir: true, assetsInlineLimit: 0, modulePreload: false },
});
