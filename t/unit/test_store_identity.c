/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Which database parameters lead to, and which database's files are in a spool. */
#include "tap.h"

#include "rh_db_identity.h"
#include "rh_spool_dir.h"

#include <apr_general.h>

static apr_pool_t *pool;

/** True if both lead to one database. */
static bool same(const char *a, const char *b)
{
    return strcmp(rh_db_file_name(pool, "pgsql", a), rh_db_file_name(pool, "pgsql", b)) == 0;
}

static void test_identity(void)
{
    is(rh_db_identity(pool, "pgsql", "host=DB.example dbname=hooks user=u password='a b\\'c'"),
       "pgsql host=db.example port=5432 dbname=hooks schema=resthooks",
       "a database is its host, port and name, and no secret");
    is(rh_db_identity(pool, "pgsql", "postgresql://u:p%40ss@[::1]:6432/h%20s?sslmode=require"),
       "pgsql host=[::1] port=6432 dbname=h s schema=resthooks", "a URI is parsed like keywords");
    is(rh_db_identity(pool, "sqlite3", "/var/lib/hooks.db"), "sqlite3 file=/var/lib/hooks.db",
       "an SQLite database is its file");
    ok(same("host=a dbname=h password=x", "password=y  dbname = 'h' host=a"),
       "another password and order are the same database");
    ok(same("host=a dbname=h", "postgres://a/h"), "another form of URI is the same database");
    ok(same("host=a dbname=h", "host=a port=5432 dbname=h connect_timeout=3 user=me"),
       "the default port, time-outs and another user do not matter");
    ok(same("host=/run/pg user=hooks", "host=/run/pg dbname=hooks user=other"),
       "the name of the database is the user's where it is missing");
    ok(!same("host=a dbname=h", "host=b dbname=h"), "another host is another database");
    ok(!same("host=a dbname=h", "host=a dbname=i"), "another name is another database");
    ok(!same("host=a dbname=h", "host=a dbname=h port=6432"), "another port is another database");
    is(rh_db_identity(pool, "pgsql", "nonsense"), "pgsql host= port=5432 dbname= schema=resthooks",
       "parameters that can't be parsed have an identity, too");
    is(rh_db_identity(pool, "pgsql", "host='unfinished"),
       "pgsql host=unfinished port=5432 dbname= schema=resthooks",
       "an unfinished quote is parsed to its end");
    ok(strlen(rh_db_file_name(pool, "sqlite3", "/x")) == strlen("sqlite3-") + 16,
       "a file's name has sixteen digits");
}

static void test_names(void)
{
    static const char uuid[] = "01900000-0000-7000-8000-000000000000";
    rh_spool_name_t name;

    ok(rh_spool_name_parse(pool, apr_pstrcat(pool, "pgsql-0123456789abcdef.", uuid, ".spool", NULL),
                           &name) &&
           strcmp(name.prefix, "pgsql-0123456789abcdef") == 0 && strcmp(name.suffix, ".spool") == 0,
       "a file's name contains its database");
    ok(rh_spool_name_parse(pool, apr_pstrcat(pool, "x.", uuid, ".refused", NULL), &name) &&
           rh_spool_name_parse(pool, apr_pstrcat(pool, "x.", uuid, ".spool.damaged", NULL), &name),
       "refused and damaged ones have names, too");
    ok(!rh_spool_name_parse(pool, apr_pstrcat(pool, "x.", uuid, ".spoolx", NULL), &name) &&
           !rh_spool_name_parse(pool, "x.spool", &name) && !rh_spool_name_parse(pool, "", &name) &&
           !rh_spool_name_parse(pool, "deliver.0.lock", &name),
       "other files are not the spool's");
}

static void test_owners(void)
{
    rh_spool_owner_t owner = {"pgsql-0123456789abcdef", NULL, false};

    ok(rh_spool_owns(&owner, "pgsql-0123456789abcdef"), "a database owns its files");
    ok(!rh_spool_owns(&owner, "pgsql-0123456789abcdee"),
       "a database does not own files of another one");
    ok(!rh_spool_owns(&owner, "api_example_com_443"),
       "a database does not own files of an unknown host");
    owner.former = apr_array_make(pool, 1, sizeof(const char *));
    APR_ARRAY_PUSH(owner.former, const char *) = "api.example.com:443";
    ok(rh_spool_owns(&owner, "api_example_com_443"),
       "files that version 0.1 named by a host are its database's");
    ok(!rh_spool_owns(&owner, "api_example_com_444"), "files of another host are not its files");
    owner.any_former = true;
    ok(rh_spool_owns(&owner, "api_example_com_444"),
       "files of any host belong to the only database");
    ok(!rh_spool_owns(&owner, "pgsql-0123456789abcdee"),
       "files that name another database do not belong to the only one");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_identity();
    test_names();
    test_owners();
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
