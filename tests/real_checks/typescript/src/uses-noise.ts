import { noise } from "../node_modules/noise/index";

export const loud: number = noise;
