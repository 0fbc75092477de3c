// Command soak asks a resolver questions of all kinds for a long time, over real sockets of
// 127.0.0.0/8, and checks every answer:
//
//	go run ./internal/test/soak -time 30m
//
// Nine questions in ten are for zones that work: names in the cache, new ones, signed
// ones, aliases, denials, long answers over TCP, zones with a dead or a slow server. The
// tenth (-hostile, in per cent) is for zones that do not mean well: name servers without
// addresses by the dozen (NXNSAttack), keys that collide (KeyTrap), chains and loops of
// aliases, silence, bytes that drip, forged replies, garbage, bogus signatures, and records
// about other zones. Which question comes when depends on -seed only; what becomes of it
// on the machine too.
//
// The time is cut into phases. At the end of each the questions under way are waited for,
// and what the process holds is measured. The report says how many questions there were,
// how many of them were answered with something else than what is right (which must be
// none), how large the heap was beside the limit of the cache, how long answers out of the
// cache took at the beginning and at the end, how many queries were sent for an answer,
// and whether goroutines and descriptors are back to what they were when the resolver is
// closed. The exit status is 1 if a bound is exceeded; times are reported and not judged. The last
// line begins with PASS or FAIL; how far it is, is told on standard error.
//
// # Limitations
//
// The servers are in the same process, and take about as much of its time as the resolver.
// It needs the addresses of 127.0.0.0/8, which Linux has without being asked.
package main
