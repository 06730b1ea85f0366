package main

import (
	"context"
	"fmt"
)

func startOpenSLB(ctx context.Context, s settings, dir string, b backendAddrs) (*proxy, error) {
	return nil, fmt.Errorf("not yet")
}
