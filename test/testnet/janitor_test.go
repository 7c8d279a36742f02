// SPDX-License-Identifier: Apache-2.0

package testnet_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/posternhq/postern/test/testnet"
)

// victim is set in the process that is killed by TestNothingIsLeftOfAKilledTest.
const victim = "POSTERN_TESTNET_VICTIM"

func TestNothingIsLeftOfAKilledTest(t *testing.T) {
	testnet.Require(t)
	if name := os.Getenv(victim); name != "" {
		for _, suffix := range []string{"-kept", "-gone"} {
			ns, err := testnet.Make(name + suffix)
			if err != nil {
				t.Fatal(err)
			}
			if suffix == "-gone" {
				ns.Close()
			}
		}
		fmt.Println("made")
		select {}
	}
	name := "ptest-" + testnet.RandomName(10)
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestNothingIsLeftOfAKilledTest$")
	cmd.Env = append(os.Environ(), victim+"="+name)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	found, _ := filepath.Glob("/run/netns/" + name + "*")
	if err != nil || line != "made\n" || len(found) != 1 {
		t.Errorf("the victim said %q (%v) and has %v", line, err, found)
	}
	cmd.Process.Kill()
	cmd.Wait()
	for deadline := time.Now().Add(testnet.Patience); ; time.Sleep(10 * time.Millisecond) {
		if found, _ = filepath.Glob("/run/netns/" + name + "*"); len(found) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left of the killed test: %v", found)
		}
	}
}
