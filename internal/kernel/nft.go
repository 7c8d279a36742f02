// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// rules probes by loading a small table. The nft program runs in the namespace
// of the thread that starts it.
func rules(name, text string) probe {
	return probe{
		name: name, needed: true, good: "rules that use it can be loaded",
		advice: "Install a newer nft program, or use a kernel with the nf_tables modules.",
		try: func(ctx context.Context) (string, error) {
			return "", loadRules(ctx, text)
		},
	}
}

func loadRules(ctx context.Context, text string) error {
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n"); line != "" {
		return fmt.Errorf("load rules: %s", line)
	}
	return fmt.Errorf("load rules: %w", err)
}

func nftVersion(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "nft", "--version").Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("there is no nft program in PATH")
	}
	if err != nil {
		return "", fmt.Errorf("nft --version: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
