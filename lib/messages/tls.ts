/** Failures of TLS as Deno words them, in words for people. Both kinds of clients dial, so both need them. */

/** Undefined: it is nothing that TLS has to do with. */
export function tlsProblem(text: string): string | undefined {
  if (/UnknownIssuer|CaUsedAsEndEntity/i.test(text)) {
    return "its certificate is signed by no authority that is trusted here; give the authority's with --ca FILE";
  }
  if (/not valid for name|NotValidForName/i.test(text)) {
    return "its certificate is for another name; dial it by a name that is in it, or issue one for this name";
  }
  if (/\bExpired\b|certificate expired/i.test(text)) return "its certificate has expired; issue a new one";
  if (/not valid yet|NotValidYet/i.test(text)) {
    return "its certificate is not valid yet; look at the clocks of both machines";
  }
  if (/invalid peer certificate|BadSignature/i.test(text)) return "its certificate is not right; issue a new one";
  if (/invalid HTTP version parsed|invalid HTTP version/i.test(text)) return "it speaks TLS; write https://";
  if (/InvalidContentType|corrupt message/i.test(text)) return "it does not speak TLS; write http://";
  return undefined;
}
