# Licensed under the Apache License, Version 2.0: see LICENSE.
# Turns the statements of modules/store/DIALECT/*.sql into C:
#   awk -v part=header    -f embed-statements.awk dialect=pgsql FILES dialect=sqlite FILES
#   awk -v part=pgsql     -f embed-statements.awk dialect=pgsql FILES dialect=sqlite FILES
# The header has the names, of both dialects together: of statements, of their parameters and of
# their columns. The other parts have the texts of one dialect each.
#
#   -- name: event_get              begins a statement; comments follow; a semicolon ends it
#   -- returns: id, type            names its columns; "as event_list, data" are those of event_list
#                                   and then data
#   -- fragment: clock              text that other statements of the dialect have for :clock
#   -- script: upgrade_2            statements that are run at once, without parameters
#   -- nothing: subscription_lock   this dialect has nothing to do for it; a comment says why
#
# In a statement, :tenant is a parameter, or the fragment of that name; :RH_CLAIM_LOOK is a number
# that C defines.

function fail(text) {
    printf "%s:%d: %s\n", FILENAME, FNR, text > "/dev/stderr"
    failed = 1
    exit 1
}

function begin_block(of_kind, of_name) {
    end_block()
    if (of_name !~ /^[a-z][a-z0-9_]*$/) {
        fail("not a name: " of_name)
    }
    if ((dialect, of_name) in kind) {
        fail(of_name " is there already")
    }
    name = of_name
    within = dialect
    if (!(dialect in known)) {
        known[dialect] = ++dialects
        dialect_at[dialects] = dialect
    }
    kind[within, name] = of_kind
    text[within, name] = ""
    returns[within, name] = ""
    if (of_kind != "fragment" && !(name in number)) {
        names[++count] = name
        number[name] = count
        arguments[name] = ""
    }
}

function end_block() {
    if (name == "") {
        return
    }
    sub(/;?\n$/, "", text[within, name])
    if ((text[within, name] == "") != (kind[within, name] == "nothing")) {
        fail(name " is empty, or should be")
    }
    name = ""
    listing = 0
}

# Columns are kept with one space before each.
function add_columns(list) {
    listing = list ~ /,$/
    gsub(/,/, " ", list)
    gsub(/ +/, " ", list)
    sub(/ $/, "", list)
    returns[within, name] = returns[within, name] (list ~ /^ / ? "" : " ") list
}

FNR == 1 && NR > 1 {
    end_block()
}

/^-- (name|fragment|script|nothing): / {
    word = $2
    sub(/:$/, "", word)
    begin_block(word, $3)
    next
}

/^-- returns: / {
    line = $0
    sub(/^-- returns: */, "", line)
    add_columns(line)
    next
}

/^--/ {
    if (listing) {
        line = $0
        sub(/^-- */, "", line)
        add_columns(line)
    }
    next
}

/^[ \t]*$/ {
    next
}

{
    if (name == "") {
        fail("text before the first name")
    }
    if (/--/) {
        fail("a comment has a line of its own")
    }
    sub(/^[ \t]+/, "")
    sub(/[ \t]+$/, "")
    text[within, name] = text[within, name] $0 "\n"
}

# The columns of a statement, those of "as" resolved.
function columns_of(of_dialect, of_name,    i, list, word) {
    list = returns[of_dialect, of_name]
    if (list ~ /^ as /) {
        split(list, word, " ")
        sub(/^ as [a-z0-9_]+/, "", list)
        for (i = dialects; i > 0 && !((of_dialect, word[2]) in kind); i--) {
            of_dialect = dialect_at[i]
        }
        if (!((of_dialect, word[2]) in kind)) {
            fail(of_name " returns columns of " word[2] ", which is not there")
        }
        list = columns_of(of_dialect, word[2]) list
    }
    return list
}

function quote(plain) {
    gsub(/\\/, "\\\\&", plain)
    gsub(/"/, "\\\"", plain)
    gsub(/\?/, "\\?", plain)
    gsub(/\n/, "\\n\"\n        \"", plain)
    return plain
}

# C for a text. What stands for its parameters is added to `order`.
function expand(of_dialect, of_name, depth,    rest, c, at, word, quoted) {
    if (depth > 8) {
        fail(of_name " includes itself")
    }
    rest = text[of_dialect, of_name]
    at = ""
    quoted = 0
    while (match(rest, /[:%']/)) {
        at = at quote(substr(rest, 1, RSTART - 1))
        c = substr(rest, RSTART, 1)
        rest = substr(rest, RSTART + 1)
        if (c == "'") {
            quoted = !quoted
            at = at c
        } else if (c == "%") {
            at = at (kind[of_dialect, of_name] == "script" ? "%" : "%%")
        } else if (quoted || rest !~ /^[A-Za-z_]/) {
            # A cast has two colons.
            at = at ":"
            if (!quoted && rest ~ /^:/) {
                at = at ":"
                rest = substr(rest, 2)
            }
        } else {
            match(rest, /^[A-Za-z0-9_]+/)
            word = substr(rest, 1, RLENGTH)
            rest = substr(rest, RLENGTH + 1)
            if (word ~ /^RH_/) {
                at = at "\" RH_SQL_NUMBER(" word ") \""
            } else if ((of_dialect, word) in kind && kind[of_dialect, word] == "fragment") {
                at = at expand(of_dialect, word, depth + 1)
            } else {
                at = at "%s"
                order = order " " word
            }
        }
    }
    return at quote(rest)
}

# Collect the columns of a dialect's statements, which are those of every dialect.
function collect_columns(of_dialect,    i, n, list) {
    for (i = 1; i <= count; i++) {
        n = names[i]
        if (!((of_dialect, n) in kind) || kind[of_dialect, n] != "name") {
            continue
        }
        list = columns_of(of_dialect, n)
        if ((n in columns) && columns[n] != list) {
            fail(n " returns other columns in " of_dialect)
        }
        columns[n] = list
        shape[n] = returns[of_dialect, n]
    }
}

# Expand the statements of a dialect, and collect the parameters of each.
function expand_all(of_dialect,    i, j, n, word) {
    for (i = 1; i <= count; i++) {
        if (!((of_dialect, names[i]) in kind)) {
            continue
        }
        order = ""
        code[of_dialect, names[i]] = expand(of_dialect, names[i], 0)
        orders[of_dialect, names[i]] = order
        n = split(order, word, " ")
        for (j = 1; j <= n; j++) {
            if (index(arguments[names[i]] " ", " " word[j] " ") == 0) {
                arguments[names[i]] = arguments[names[i]] " " word[j]
            }
        }
    }
}

function print_members(list,    n, i, word) {
    n = split(list, word, " ")
    for (i = 1; i <= n; i++) {
        printf "    const char *%s;\n", word[i]
    }
}

function print_header(    i, n) {
    print "#ifndef RH_STATEMENTS_H\n#define RH_STATEMENTS_H\n"
    print "typedef enum {"
    for (i = 1; i <= count; i++) {
        printf "    RH_SQL_%s,\n", names[i]
    }
    print "    RH_SQL_COUNT\n} rh_sql_name_t;\n"
    for (i = 1; i <= count; i++) {
        n = names[i]
        print "typedef struct {"
        print_members((arguments[n] == "") ? "none" : arguments[n])
        printf "} rh_%s_args_t;\n", n
        # Rows "as" another statement's are read as that one's.
        if (shape[n] != "" && shape[n] !~ /^ as [a-z0-9_]+$/) {
            print "typedef struct {"
            print_members(columns[n])
            printf "} rh_%s_row_t;\n", n
        }
        print ""
    }
    print "#endif"
}

function print_table(of_dialect,    i, j, n, words, word) {
    print "#include \"rh_query.h\"\n#include \"rh_queue_private.h\"\n"
    printf "extern const rh_sql_t rh_%s_statements[RH_SQL_COUNT];\n\n", of_dialect
    for (i = 1; i <= count; i++) {
        n = names[i]
        words = split(orders[of_dialect, n], word, " ")
        if (words == 0) {
            continue
        }
        printf "static const unsigned short %s[] = {", n
        for (j = 1; j <= words; j++) {
            printf "%s\n    offsetof(rh_%s_args_t, %s)", (j > 1 ? "," : ""), n, word[j]
        }
        print "};"
    }
    printf "\nconst rh_sql_t rh_%s_statements[RH_SQL_COUNT] = {\n", of_dialect
    for (i = 1; i <= count; i++) {
        n = names[i]
        if (!((of_dialect, n) in kind)) {
            continue
        }
        words = split(orders[of_dialect, n], word, " ")
        if (kind[of_dialect, n] == "nothing") {
            printf "    [RH_SQL_%s] = {\"%s\", NULL, NULL, 0, 0, NULL},\n", n, n
        } else {
            printf "    [RH_SQL_%s] = {\n        \"%s\",\n        \"%s\",\n", n, n,
                code[of_dialect, n]
            printf "        %s, %d, %d, \"%s\"},\n", (words > 0 ? n : "NULL"), words,
                split(columns[n], word, " "), substr(columns[n], 2)
        }
    }
    print "};"
}

END {
    if (failed) {
        exit 1
    }
    end_block()
    for (i = 1; i <= dialects; i++) {
        collect_columns(dialect_at[i])
        expand_all(dialect_at[i])
    }
    print "/* Made of the .sql files of modules/store by conf/embed-statements.awk. */"
    if (part == "header") {
        print_header()
    } else {
        print_table(part)
    }
}
