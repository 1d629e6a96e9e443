/**
 * A picture that is drawn again in its own place, at most five times a second. What stands above it on the screen stays.
 * Lines are not wrapped while it is drawn, so that one line of the picture is one line of the screen.
 */
import type { Io } from "../io.ts";

const LEAST_MS = 200;

export interface LiveTree {
  /** Draws soon; many calls are one picture. */
  update(): void;
  /** The last picture; nothing is drawn after it. */
  finish(): void;
}

/** `picture` gives the lines as they are now; each is cut to the screen by whoever makes it. */
export function createLiveTree(io: Io, picture: () => readonly string[]): LiveTree {
  let height = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let over = false;

  function draw(): void {
    timer = undefined;
    const lines = picture();
    const back = height === 0 ? "" : `\x1b[${height}A`;
    io.out(`\x1b[?7l${back}\r${lines.map((line) => `${line}\x1b[K\n`).join("")}\x1b[J\x1b[?7h`);
    height = lines.length;
  }

  // What is first seen is drawn at once, later changes together.
  let drawnMs = -Infinity;
  const soon = () => {
    const waitMs = LEAST_MS - (performance.now() - drawnMs);
    if (waitMs <= 0) drawNow();
    else timer = setTimeout(drawNow, waitMs);
  };
  const drawNow = () => {
    drawnMs = performance.now();
    draw();
  };
  return {
    update() {
      if (!over && timer === undefined) soon();
    },
    finish() {
      if (over) return;
      over = true;
      clearTimeout(timer);
      draw();
    },
  };
}
