// dockerode decodes BuildKit's build output with this package, which Ormen never asks for.
exports.loadSync = function loadSync() {
  throw new Error("BuildKit's build output is not decoded by this program");
};
