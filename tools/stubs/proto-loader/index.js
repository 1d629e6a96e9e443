// dockerode uses this package for BuildKit sessions (build with version 2), which Ormen never opens.
exports.loadSync = function loadSync() {
  throw new Error("BuildKit sessions are not part of this program");
};
