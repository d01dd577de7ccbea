// The paths of the shapes that tell states apart, on a square of 16; `fill` says that it is filled, else it is a line.
export const SHAPES = {
  check: { fill: false, paths: ["M3 8.5 6.5 12 13 4.5"] },
  cross: { fill: false, paths: ["M4 4 12 12", "M12 4 4 12"] },
  drop: { fill: true, paths: ["M8 1.5C8 1.5 3 7 3 10.2a5 5 0 0 0 10 0C13 7 8 1.5 8 1.5Z"] },
  clock: { fill: false, paths: ["M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2Z", "M8 5V8.2L10.4 9.8"] },
  eye: { fill: false, paths: ["M1.5 8C3 5 5.3 3.6 8 3.6S13 5 14.5 8C13 11 10.7 12.4 8 12.4S3 11 1.5 8Z", "M8 6.4a1.6 1.6 0 1 0 0 3.2 1.6 1.6 0 0 0 0-3.2Z"] },
  triangle: { fill: false, paths: ["M8 2 14.5 13.5H1.5Z", "M8 6.4V9.4", "M8 11.5V11.6"] },
  question: { fill: false, paths: ["M5.2 5.6C5.2 4 6.4 3 8 3s2.8 1 2.8 2.5C10.8 7.6 8 7.7 8 10", "M8 12.9V13"] },
  bars: { fill: true, paths: ["M4 3H7V13H4Z", "M9 3H12V13H9Z"] },
  square: { fill: true, paths: ["M3.5 3.5H12.5V12.5H3.5Z"] },
  play: { fill: true, paths: ["M4.5 2.5 13 8 4.5 13.5Z"] },
  ring: { fill: false, paths: ["M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11Z", "M8 6.6a1.4 1.4 0 1 0 0 2.8 1.4 1.4 0 0 0 0-2.8Z"] },
  dashes: { fill: false, paths: ["M8 2.5A5.5 5.5 0 0 1 13.5 8", "M11.9 11.9A5.5 5.5 0 0 1 8 13.5", "M4.1 11.9A5.5 5.5 0 0 1 2.5 8", "M4.1 4.1 4.2 4"] },
  again: { fill: false, paths: ["M12.9 6.2A5.2 5.2 0 1 0 13.2 8.6", "M13.4 2.6V6.3H9.7"] },
  hollow: { fill: false, paths: ["M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3Z"] },
  slash: { fill: false, paths: ["M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11Z", "M4.2 4.2 11.8 11.8"] },
  skip: { fill: false, paths: ["M3 4 7 8 3 12", "M8.5 4 12.5 8 8.5 12"] },
};
