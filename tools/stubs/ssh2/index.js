// dockerode reaches Engines over SSH with this package's Client. Ormen does not offer ssh:// hosts, and the real package's
// native code cannot be bundled into one file.
exports.Client = class Client {
  constructor() {
    throw new Error("Docker Engines over ssh:// are not supported: forward the socket and use tcp:// or unix://");
  }
};
