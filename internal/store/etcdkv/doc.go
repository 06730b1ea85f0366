// Package etcdkv is kv.KV on etcd: embedded in the process by default, without
// a TCP port, or a cluster reached over the network.
package etcdkv
