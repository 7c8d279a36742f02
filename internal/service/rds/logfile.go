// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/table"
)

// LogFile is a file that a server has written.
type LogFile struct {
	Name    string
	Written time.Time
	Size    int64
}

// Logs reads what servers have written, by the ids of their instances. A file or a server
// that is not there is fs.ErrNotExist.
type Logs interface {
	Files(ctx context.Context, instance string) ([]LogFile, error)
	// Read gives at most so many bytes of a file from a place on; fewer only at its end.
	Read(ctx context.Context, instance, name string, from int64, most int) ([]byte, error)
}

// Of what a portion of a log has
// (https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DownloadDBLogFilePortion.html).
const (
	mostLogBytes = 1 << 20
	mostLogLines = 9999
)

// logFolder is what names of logs begin with.
const logFolder = "error/"

// findManaged finds an instance of the caller's whose server runs here.
func findManaged(tx *table.Txn, who access.View, name string) (*model.DBInstance, error) {
	i, err := findInstance(tx, who, name)
	if err == nil && (i.IsRegistered() || i.Interface == "") {
		return nil, registered("DBInstance", i.Identifier, "InvalidDBInstanceState")
	}
	return i, err
}

// logsOf gives the files of an instance.
func (a *API) logsOf(ctx context.Context, name string) (*model.DBInstance, []LogFile, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, nil, err
	}
	i, err := findManaged(tx, access.From(ctx), name)
	if err != nil || a.Logs == nil {
		return i, nil, err
	}
	files, err := a.Logs.Files(ctx, i.ID)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // its server has not begun yet
	}
	return i, files, err
}

// DescribeDBLogFiles lists the logs of an instance.
func (a *API) DescribeDBLogFiles(ctx context.Context, in *shape.DescribeDBLogFilesInput) (*shape.DescribeDBLogFilesOutput, error) {
	if _, err := (properties[LogFile]{}).compile(in.Filters); err != nil {
		return nil, err
	}
	i, files, err := a.logsOf(ctx, *in.DBInstanceIdentifier)
	if err != nil {
		return nil, err
	}
	var items []LogFile
	for _, f := range files {
		f.Name = logFolder + f.Name
		if strings.Contains(f.Name, service.Value(in.FilenameContains)) && f.Written.UnixMilli() >= service.Value(in.FileLastWritten) && f.Size >= service.Value(in.FileSize) {
			items = append(items, f)
		}
	}
	choice := []any{i.ID, in.FilenameContains, in.FileLastWritten, in.FileSize}
	page, marker, err := paginate(query{access.From(ctx), "DescribeDBLogFiles", choice, in.Marker, in.MaxRecords}, items, func(f LogFile) string { return f.Name })
	if err != nil {
		return nil, err
	}
	show := func(f LogFile) shape.DescribeDBLogFilesDetails {
		return shape.DescribeDBLogFilesDetails{LogFileName: &f.Name, LastWritten: new(f.Written.UnixMilli()), Size: &f.Size}
	}
	return &shape.DescribeDBLogFilesOutput{DescribeDBLogFiles: service.Each(page, show), Marker: marker}, nil
}

// DownloadDBLogFilePortion gives whole lines of a log, at most a mebibyte of them: the last
// ones, or those after a marker, which is 0 for the beginning.
func (a *API) DownloadDBLogFilePortion(ctx context.Context, in *shape.DownloadDBLogFilePortionInput) (*shape.DownloadDBLogFilePortionOutput, error) {
	lines := int(service.Value(in.NumberOfLines))
	if in.NumberOfLines != nil && (lines < 1 || lines > mostLogLines) {
		return nil, invalid("NumberOfLines must be between 1 and %d, not %d", mostLogLines, lines)
	}
	from, err := logPlace(service.Value(in.Marker))
	if err != nil {
		return nil, err
	}
	i, files, err := a.logsOf(ctx, *in.DBInstanceIdentifier)
	if err != nil {
		return nil, err
	}
	name := strings.TrimPrefix(*in.LogFileName, logFolder)
	for _, f := range files {
		if f.Name != name {
			continue
		}
		last := in.Marker == nil
		if last {
			from = max(0, f.Size-mostLogBytes)
		}
		text, err := a.Logs.Read(ctx, i.ID, name, from, mostLogBytes)
		if err != nil {
			return nil, err
		}
		if last {
			text, from = lastLines(text, from, lines)
		} else {
			text = firstLines(text, lines, from+int64(len(text)) >= f.Size)
		}
		next := from + int64(len(text))
		return &shape.DownloadDBLogFilePortionOutput{LogFileData: new(strings.ToValidUTF8(string(text), "\uFFFD")), Marker: new(logMarker(next)), AdditionalDataPending: new(next < f.Size)}, nil
	}
	return nil, fault.RDS("DBLogFileNotFoundFault", "DBLog File: %s, is not found on the DB instance", *in.LogFileName)
}

// Markers are a number that is always 0, and the place in the file.
const markerPrefix = "0:"

func logMarker(at int64) string { return markerPrefix + strconv.FormatInt(at, 10) }

func logPlace(marker string) (int64, error) {
	if marker == "" || marker == "0" {
		return 0, nil
	}
	digits, ok := strings.CutPrefix(marker, markerPrefix)
	at, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || at < 0 {
		return 0, invalid("Marker: %s is none that this operation gave", marker)
	}
	return at, nil
}

// lastLines gives the last lines of a text that begins at a place, or all whole ones for
// none, and where they begin.
func lastLines(text []byte, from int64, lines int) ([]byte, int64) {
	at := 0
	if from > 0 { // what it begins with is the end of a line
		at = bytes.IndexByte(text, '\n') + 1
	}
	if lines > 0 {
		end := len(bytes.TrimSuffix(text, []byte("\n")))
		for ; lines > 0 && end >= at; lines-- {
			end = bytes.LastIndexByte(text[:end], '\n')
		}
		at = max(at, end+1)
	}
	return text[at:], from + int64(at)
}

// firstLines gives the first lines of a text, or all whole ones for none. The last one of a
// file may be without an end, as may one that is longer than all that is read.
func firstLines(text []byte, lines int, whole bool) []byte {
	end := len(text)
	if !whole {
		if last := bytes.LastIndexByte(text, '\n'); last >= 0 {
			end = last + 1
		}
	}
	if lines > 0 {
		at := 0
		for ; lines > 0 && at < end; lines-- {
			next := bytes.IndexByte(text[at:end], '\n')
			if next < 0 {
				return text[:end]
			}
			at += next + 1
		}
		end = at
	}
	return text[:end]
}
