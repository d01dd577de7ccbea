import { mount } from "svelte";
import Report from "./Report.svelte";

const told = JSON.parse(document.getElementById("told").textContent);

export default mount(Report, { target: document.getElementById("app"), props: { told } });
