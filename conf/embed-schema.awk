# Licensed under the Apache License, Version 2.0: see LICENSE.
# Turns a text file into a C string: awk -v name=rh_x -f embed-schema.awk FILE > FILE.c
# One literal a line keeps each of them below the length that C99 promises.
BEGIN {
    printf "extern const char %s[];\n", name
    printf "const char %s[] =\n", name
}
{
    gsub(/\\/, "\\\\&")
    gsub(/"/, "\\\\&")
    gsub(/\t/, "\\\\t")
    gsub(/\?/, "\\\\&")
    printf "    \"%s\\n\"\n", $0
}
END {
    print "    \"\";"
}
