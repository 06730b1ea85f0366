package system

import (
	"os"
	"testing"

	"github.com/openslb/openslb/internal/testutil"
)

func TestMain(m *testing.M) {
	testutil.CrowdMain()
	os.Exit(m.Run())
}
