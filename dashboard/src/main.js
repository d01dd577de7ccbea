import { mount } from "svelte";
import "./styles/tokens.css";
import "./styles/ground.css";
import "./styles/base.css";
import App from "./App.svelte";
import { start } from "./lib/connection.svelte.js";

start();

export default mount(App, { target: document.getElementById("app") });
