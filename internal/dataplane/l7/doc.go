// Package l7 is the HTTP proxy. Package h1 knows the protocol, package policy
// decides; here are the sockets, our own client towards the servers, timers and
// counters. net/http has no part in it.
//
// # Drivers
//
// Two drivers move the bytes and do the same to clients and servers.
//
// The goroutine driver has one goroutine per client connection, which waits in
// the runtime's poller. While a client is idle it holds no buffer, and after a
// moment the goroutine goes, too: a loop watches for the client. While a server
// is thinking it holds the request alone. A proxied keep-alive request allocates
// nothing and takes five system calls: read from the client, look at the server
// connection, write, read, write.
//
// The loop driver has a few event loops, each with a listening socket of every
// frontend, and is for plain HTTP. A request is read into the loop's one block,
// decided and sent on in the turn in which it came, without a goroutine and
// without waiting; an answer goes back the same way. A connection owns memory
// only for what has to wait: a head that has not come whole, requests behind the
// one under way, an answer the client does not take. An idle one is some 300
// bytes and a registration. Long bodies that go as they are move from socket to
// socket within the kernel. Where a request is more than a head and a body that
// came with it (uploads, Expect, tunnels), the connection moves to a goroutine
// with all that was read of it, and stays there; so it does with the server's
// connection when an answer begins that is to be compressed, which would keep
// others on the loop waiting. Connections to servers belong to a loop.
//
// # Connections to servers
//
// They are kept per member and used again. Before a connection is used it is
// read once without waiting: a server that closed it, or sent something
// nobody asked for, is found out before a byte of the request is sent, and
// another connection is taken. For a request that may be repeated the loop driver
// takes its events for it: nothing had come when the turn began. A request is sent
// a second time, on a fresh connection and only once, when a kept connection ended without a byte of an
// answer and either nothing of the request was sent or its method is idempotent
// and it has no body. A failed connect moves on to another server.
//
// # TLS
//
// An HTTPS frontend is the same driver. The handshake takes place in the
// connection's goroutine; from then on crypto/tls reads from the descriptor
// without waiting, so that a secure connection is read inside the visit to the
// poller like a plain one, and all records of one write leave together. How
// many handshakes compute at the same time is bounded; how many wait for their
// clients is not, yet what they hold together is, see handshakeBudget.
//
// # HTTP/2
//
// A connection that agrees on HTTP/2 has one goroutine that reads, and one for
// each request. Towards policy and servers such a request is a connection with one
// request on it: the same code serves it, and only what that code delivers to
// the client is turned into frames. Package h2 has the protocol. What several
// requests have to say at about the same time leaves in one record.
//
// As an extension servers may be asked by HTTP/2 too. What they say is turned into
// a head of HTTP/1.1 and the bare body, and goes the way of all answers.
//
// # Slow servers
//
// A server has the request's time to answer. What counts is the time since it last
// took some of the request, which with a large one is long after it was sent: the
// system has room for megabytes. So it is asked for what the server has
// acknowledged, once the time is up, see taking.
//
// # Slow clients
//
// A head must be there in the request's time, counted from its first byte. A body
// must go on within the same time, and keep a pace; so must a client that takes
// an answer, see pace. All of it is looked at where the client has to be waited for, and
// costs nothing where it need not be.
//
// # Ends
//
// A client that goes away does not stop the exchange with the server until
// there is an answer to deliver, as the vendor documents. A body that ends too
// early is never made to look complete: the client's connection is closed in
// the middle of it, by a reset where only the end of the connection would have
// marked the end of the body.
package l7
