// dockerode uses this package for BuildKit sessions (build with version 2), which Ormen never opens.
exports.Server = class Server {
  constructor() {
    throw new Error("BuildKit sessions are not part of this program");
  }
};
