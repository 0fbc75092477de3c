// Command bulkworld measures examples/bulk in a generated world, and Unbound beside it, fed by
// dnsperf:
//
//	go run ./internal/test/bulkworld                      50,000 names, without and with DNSSEC
//	go run ./internal/test/bulkworld -names 2000          a minute, to see that it works
//	go run ./internal/test/bulkworld -names 1000000       .ci/run long
//
// The world has a root, twenty top-level domains, and a zone for each name, on a few hundred server
// addresses of 127.0.0.0/8, all at port 53 in a network namespace of its own, where nothing can
// leave. Its answers are made when they are asked for, so that its size costs nothing. Round trips
// take 20 ms to the root, 30 ms to top-level domains and 40 ms to the rest; one query in a hundred is
// lost, and one hoster's address in fifty is dead. Of twenty names one does not exist and one has no
// address. With DNSSEC every second zone is signed (ECDSA P-256), as are the root and the top-level
// domains.
//
// For each program the table has:
//
//   - names per second, in all, and until 99 of 100 lines were there: the rest wait for another try;
//   - processor time per name, of the program alone: the world runs in another process; and the ratio to
//     Unbound's;
//   - of bulk, the same under "resolving" without start-up, and without what a line costs beside
//     resolving: reading it, finding the answer in the cache, and writing it as JSON. That is measured
//     before, with a list of one name 20,000 times;
//   - success: right answers among the names that have a living server. Of Unbound only response codes
//     are looked at;
//   - queries per name, as the world has counted them;
//   - memory and descriptors at most.
//
// Unbound is tried with the first 20,000 names for each number of queries under way in -peer-queries,
// each time with an empty cache. With the number that suits it best, by which it finds the most names, or
// as many sooner, it is measured with all names.
//
// Both programs tell how far they are. The last line begins with PASS or FAIL, and an interrupt ends
// everything, with the table of what has been measured. It fails if bulk's success is lower than Unbound's
// by more than a thousandth, a line is wrong or missing, or more descriptors were open than allowed. A
// million names take half a gigabyte of disk below $TMPDIR, which is given back at the end.
//
// # Limitations
//
// It needs Linux, the program ip, and leave to make a network namespace. World and programs share
// the processors, so that names per second say less than processor time per name. The servers are
// not limited in rate, and bulk's -server-rate is 0: its politeness is tested in examples/bulk.
package main
