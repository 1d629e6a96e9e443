/** Loads the images of tests and the demo into the Engine of DOCKER_HOST (or the default socket). */
import { engine } from "../tests/fixtures/engine.ts";
import { BUSYBOX_IMAGE, ECHO_IMAGE, ensureImages } from "../tests/fixtures/images.ts";

const found = engine();
if (found === undefined) {
  console.error("cannot load the test images: no Docker Engine answers (tools/with_engine.sh starts one)");
  Deno.exit(1);
}
await ensureImages(found.docker);
console.log(`${ECHO_IMAGE} and ${BUSYBOX_IMAGE} are ready`);
