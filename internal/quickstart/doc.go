// Package quickstart tells the whole story of a load balancer on one machine:
// it runs sample servers, drives a node by the very commands that a user would
// type, sends real traffic and checks every claim that it prints.
package quickstart
