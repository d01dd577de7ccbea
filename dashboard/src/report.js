import { mount } from "svelte";
import Report from "./Report.svelte";

const told = JSON.parse(document.getElementById("told").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => (document.documentElement.dataset.theme = dark.matches ? "dark" : "light");

follow();
dark.addEventListener("change", follow);
export default mount(Report, { target: document.getElementById("app"), props: { told } });
