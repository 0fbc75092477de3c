// Package probes decides nothing: it counts, in builds with the race detector, what questions cost
// the cache in looks and in hashes of a name, so that tests of all packages can hold that.
//
// In come calls; out come the counts so far, of the whole process. In other builds the calls do
// nothing, and cost nothing.
package probes
