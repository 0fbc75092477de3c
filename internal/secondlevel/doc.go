// Package secondlevel decides when a resolver reads and writes the store that it shares
// with others, how long it waits for it, and whether data from it is intact.
//
// In come keys and payloads of the resolver; out come sealed blobs to the store, and from
// it the payloads of blobs whose seal is right and that have not expired. A store that
// fails, is silent or lies is marked down and probed in the background, where all writes
// are made. The package never looks into a payload and never judges whether it is true:
// the resolver validates it like a reply off the network.
package secondlevel
