// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run prints a script made from the command line's own description, so that it
// cannot fall behind.
func (c *completionCommand) Run(in *Invocation) error {
	parser, err := newParser(&commands{}, *in)
	if err != nil {
		return err
	}
	var script string
	switch words := completions(parser.Model.Node, nil); c.Shell {
	case "fish":
		script = fishScript(words)
	case "zsh":
		script = "#compdef postern\nautoload -U +X bashcompinit && bashcompinit\n" + bashScript(words)
	default:
		script = bashScript(words)
	}
	_, err = fmt.Fprint(in.Stdout, script)
	return err
}

// completion is what may follow a path of commands.
type completion struct {
	path  string
	words []string
}

func completions(node *kong.Node, path []string) []completion {
	c := completion{path: strings.Join(path, " ")}
	all := []completion{}
	for _, child := range node.Children {
		if child.Type != kong.CommandNode || child.Hidden {
			continue
		}
		c.words = append(c.words, child.Name)
		all = append(all, completions(child, append(path, child.Name))...)
	}
	for _, f := range node.Flags {
		if !f.Hidden {
			c.words = append(c.words, "--"+f.Name)
		}
	}
	return append([]completion{c}, all...)
}

func bashScript(all []completion) string {
	var b strings.Builder
	b.WriteString("_postern() {\n\tlocal path=\"\" word i\n\tfor ((i = 1; i < COMP_CWORD; i++)); do\n")
	b.WriteString("\t\tword=\"${COMP_WORDS[i]}\"\n\t\t[ \"$word\" = -- ] && { compopt -o default; return; }\n")
	b.WriteString("\t\tcase \"$word\" in -*) ;; *) path=\"${path:+$path }$word\" ;; esac\n\tdone\n\tcase \"$path\" in\n")
	for i := len(all) - 1; i >= 0; i-- { // longest paths first
		pattern := `""`
		if all[i].path != "" {
			pattern = fmt.Sprintf("%q*", all[i].path)
		}
		fmt.Fprintf(&b, "\t%s) COMPREPLY=($(compgen -W %q -- \"${COMP_WORDS[COMP_CWORD]}\")) ;;\n", pattern, strings.Join(all[i].words, " "))
	}
	b.WriteString("\tesac\n}\ncomplete -F _postern postern\n")
	return b.String()
}

func fishScript(all []completion) string {
	var b strings.Builder
	b.WriteString("complete -c postern -f\n")
	for _, c := range all {
		condition := "__fish_use_subcommand"
		if c.path != "" {
			condition = "__fish_seen_subcommand_from " + strings.Fields(c.path)[len(strings.Fields(c.path))-1]
		}
		for _, w := range c.words {
			if name, isFlag := strings.CutPrefix(w, "--"); isFlag {
				fmt.Fprintf(&b, "complete -c postern -n %q -l %s\n", condition, name)
			} else {
				fmt.Fprintf(&b, "complete -c postern -n %q -a %s\n", condition, w)
			}
		}
	}
	return b.String()
}
