// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/service/servicetest"
)

// logs are in memory, by instance and name.
type logs map[string]map[string]string

func (l logs) Files(_ context.Context, instance string) (list []LogFile, err error) {
	files, ok := l[instance]
	if !ok {
		return nil, fs.ErrNotExist
	}
	for name, text := range files {
		list = append(list, LogFile{name, servicetest.Now, int64(len(text))})
	}
	return list, nil
}

func (l logs) Read(_ context.Context, instance, name string, from int64, most int) ([]byte, error) {
	text := l[instance][name]
	from = min(from, int64(len(text)))
	return []byte(text[from:min(int64(len(text)), from+int64(most))]), nil
}

// Whoever follows the markers gets the whole file, line by line, however many are asked
// for at a time.
func TestLogsAreReadInPortions(t *testing.T) {
	w := newWorld(t)
	w.putCluster(t, "orders", "orders-1")
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.StringMatching(`[a-zä]{0,20}\n`), 0, 50).Draw(t, "lines"), "") + rapid.StringMatching(`[a-z]{0,5}`).Draw(t, "rest")
		w.Logs = logs{"db-ORDERS-1": {"server.log": text}}
		lines := rapid.Int32Range(1, 60).Draw(t, "lines at a time")
		in := &shape.DownloadDBLogFilePortionInput{DBInstanceIdentifier: new("orders-1"), LogFileName: new("error/server.log"), Marker: new("0"), NumberOfLines: &lines}
		got := ""
		for {
			out, err := w.DownloadDBLogFilePortion(w.ctx, in)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(*out.LogFileData, "\n"); n > int(lines) {
				t.Fatalf("%d lines, asked for %d", n, lines)
			}
			got += *out.LogFileData
			if !*out.AdditionalDataPending {
				break
			}
			if *out.LogFileData == "" {
				t.Fatal("there is more, and nothing comes")
			}
			in.Marker = out.Marker
		}
		if got != text {
			t.Fatalf("read %q of %q", got, text)
		}
		in.Marker = nil
		out, err := w.DownloadDBLogFilePortion(w.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		all := slices.Collect(strings.Lines(text))
		if want := strings.Join(all[max(0, len(all)-int(lines)):], ""); *out.LogFileData != want || *out.AdditionalDataPending {
			t.Fatalf("the last %d lines of %q are %q", lines, text, *out.LogFileData)
		}
	})
}

// A file of any size comes in portions of a mebibyte at most.
func TestLargeLogs(t *testing.T) {
	w := newWorld(t)
	w.putCluster(t, "orders", "orders-1")
	var text strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&text, "line %d of a log that is longer than a portion can be\n", i)
	}
	text.WriteString(strings.Repeat("x", 3*mostLogBytes)) // a line that no portion can hold
	w.Logs = logs{"db-ORDERS-1": {"server.log": text.String()}}
	in := &shape.DownloadDBLogFilePortionInput{DBInstanceIdentifier: new("orders-1"), LogFileName: new("error/server.log"), Marker: new("0")}
	got := 0
	for pending := true; pending; {
		out, err := w.DownloadDBLogFilePortion(w.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(*out.LogFileData); n > mostLogBytes || n == 0 {
			t.Fatalf("a portion of %d bytes", n)
		} else if !strings.HasPrefix(text.String()[got:], *out.LogFileData) {
			t.Fatalf("another text after %d bytes", got)
		}
		got += len(*out.LogFileData)
		in.Marker, pending = out.Marker, *out.AdditionalDataPending
	}
	if got != text.Len() {
		t.Errorf("read %d of %d bytes", got, text.Len())
	}
}

func TestLogFiles(t *testing.T) {
	w := newWorld(t)
	w.putCluster(t, "orders", "orders-1", "orders-2")
	w.Logs = logs{"db-ORDERS-1": {"server.log": "abc\n", "server.log.1": strings.Repeat("x", 100)}}
	list := func(in shape.DescribeDBLogFilesInput) (names []string) {
		t.Helper()
		out, err := w.DescribeDBLogFiles(w.ctx, &in)
		for _, f := range must(t, out, err).DescribeDBLogFiles {
			names = append(names, fmt.Sprintf("%s:%d", *f.LogFileName, *f.Size))
		}
		return names
	}
	name := new("orders-1")
	for what, test := range map[string]struct {
		in   shape.DescribeDBLogFilesInput
		want []string
	}{
		"all":       {shape.DescribeDBLogFilesInput{DBInstanceIdentifier: name}, []string{"error/server.log:4", "error/server.log.1:100"}},
		"by name":   {shape.DescribeDBLogFilesInput{DBInstanceIdentifier: name, FilenameContains: new(".1")}, []string{"error/server.log.1:100"}},
		"by size":   {shape.DescribeDBLogFilesInput{DBInstanceIdentifier: name, FileSize: new(int64(50))}, []string{"error/server.log.1:100"}},
		"by time":   {shape.DescribeDBLogFilesInput{DBInstanceIdentifier: name, FileLastWritten: new(servicetest.Now.UnixMilli() + 1)}, nil},
		"not begun": {shape.DescribeDBLogFilesInput{DBInstanceIdentifier: new("orders-2")}, nil},
	} {
		if got := list(test.in); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", what, got, test.want)
		}
	}
	read := func(in shape.DownloadDBLogFilePortionInput) error {
		_, err := w.DownloadDBLogFilePortion(w.ctx, &in)
		return err
	}
	refused(t, "no instance", read(shape.DownloadDBLogFilePortionInput{DBInstanceIdentifier: new("none"), LogFileName: new("error/server.log")}), "DBInstanceNotFound", "none")
	refused(t, "no file", read(shape.DownloadDBLogFilePortionInput{DBInstanceIdentifier: name, LogFileName: new("error/../spec.json")}), "DBLogFileNotFoundFault", "spec.json")
	refused(t, "no marker", read(shape.DownloadDBLogFilePortionInput{DBInstanceIdentifier: name, LogFileName: new("error/server.log"), Marker: new("x")}), badValue, "Marker")
	refused(t, "no lines", read(shape.DownloadDBLogFilePortionInput{DBInstanceIdentifier: name, LogFileName: new("error/server.log"), NumberOfLines: new(int32(0))}), badValue, "NumberOfLines")
}
