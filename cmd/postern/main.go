// SPDX-License-Identifier: Apache-2.0

// Command postern is Postern: the server and the data plane of one host, and
// the command line for people. See `postern --help`.
package main

import (
	"context"
	"os"

	"github.com/posternhq/postern/internal/cli"
)

func main() {
	os.Exit(cli.Main(cli.System(context.Background())))
}
