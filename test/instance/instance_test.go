// SPDX-License-Identifier: Apache-2.0

package instance_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/test/instance"
)

// understudy writes a program that keeps to Postern's command line and the files
// of its data folder as far as a script says, and gives an instance of it. To the
// script, the folder is $data.
func understudy(t *testing.T, up, others string) *instance.Instance {
	t.Helper()
	path := filepath.Join(t.TempDir(), "postern")
	i := &instance.Instance{Binary: path, Data: filepath.Join(t.TempDir(), "data")}
	script := "#!/bin/sh\ndata=" + i.Data + "\nif [ $1 = up ]; then\n:\n" + up + "\nelse\n:\n" + others + "\nfi\n"
	err := errors.Join(os.WriteFile(path, []byte(script), 0o700), os.Mkdir(i.Data, 0o700))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if i.Runs() {
			i.Kill()
		}
	})
	return i
}

// serves is a daemon that has come up; its mark is one that nothing has. Like
// Postern, it is ready for the signal before it says that it serves.
const serves = `trap 'exit 0' TERM
echo '{"account":"111122223333","accessKeyId":"AKIA","secretAccessKey":"s"}' >$data/credentials.json
echo '{"pid":'$$',"endpoint":"http://127.0.0.1:'$(cat $data/port)'","region":"here"}' >$data/running.json
while :; do sleep 0.01; done`

func put(t *testing.T, i *instance.Instance, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(i.Data, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestUpWaitsForItsOwnDaemon starts a daemon where the files of an earlier life
// still are.
func TestUpWaitsForItsOwnDaemon(t *testing.T) {
	i := understudy(t, serves, "")
	put(t, i, "credentials.json", `{}`)
	put(t, i, "running.json", `{"pid":1,"endpoint":"http://127.0.0.1:1"}`)
	for _, port := range []string{"1001", "1002"} {
		put(t, i, "port", port)
		if err := i.Up(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := instance.Access{URL: "http://127.0.0.1:" + port, Region: "here", Account: "111122223333", AccessKeyID: "AKIA", SecretAccessKey: "s"}
		if i.Access() != want {
			t.Errorf("access is %+v, want %+v", i.Access(), want)
		}
		if err := i.Stop(); err != nil || i.Runs() {
			t.Errorf("stop: %v", err)
		}
	}
	if err := i.Stop(); err == nil {
		t.Error("a daemon that has ended can be stopped")
	}
}

func TestUpTellsWhyThereIsNoDaemon(t *testing.T) {
	i := understudy(t, "echo 'postern: no room' >&2; exit 1", "")
	if err := i.Up(t.Context()); err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), "no room") {
		t.Errorf("a daemon that refuses to start: %v", err)
	}
	i = understudy(t, "exec sleep 600", "")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := i.Up(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a daemon that never answers: %v", err)
	}
	if err := i.Close(); err != nil || i.Runs() { // what it does at SIGTERM is not yet its own
		t.Errorf("close in the middle of the start: %v", err)
	}
}

func TestDataFolderGoesBeforeTheProgram(t *testing.T) {
	i := &instance.Instance{Data: "d"}
	given := []string{"run", "--", "sh", "--"}
	if got := i.Arguments(given...); !slices.Equal(got, []string{"run", "--data", "d", "--", "sh", "--"}) {
		t.Errorf("got %q", got)
	}
	if got := i.Arguments("clean"); !slices.Equal(got, []string{"clean", "--data", "d"}) {
		t.Errorf("got %q", got)
	}
}

func TestCloseTellsWhatCleanCannot(t *testing.T) {
	i := understudy(t, "", "echo \"no right to $*\" >&2; exit 1")
	if err := i.Close(); err != nil {
		t.Errorf("a folder without a mark: %v", err)
	}
	put(t, i, "instance", "ptest0\n")
	if err := i.Close(); err == nil || !strings.Contains(err.Error(), "no right to clean --databases --data "+i.Data) {
		t.Errorf("clean fails and Close says %v", err)
	}
}

func TestVerifyForgivesWhatTestsBringAbout(t *testing.T) {
	for _, c := range []struct{ says, status, want string }{
		{"nothing is wrong: 3 rows", "0", ""},
		{"workload eni-1 has its namespace, which does not have it\\nroute r: it is in error\\n2 things are wrong: 3 rows", "1", ""},
		{"address 10.0.1.4 is claimed by nobody\\n1 things are wrong: 3 rows", "1", "address 10.0.1.4 is claimed by nobody"},
		{"", "1", "status 1"},
	} {
		i := understudy(t, "", "printf '"+c.says+"'; exit "+c.status)
		err := i.Verify()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v", c.says, err)
		}
	}
}
