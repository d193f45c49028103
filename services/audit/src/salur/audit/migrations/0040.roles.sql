-- depends: 0030.search_postings
-- The service runs as a role that may make no tables: partitions of the search are made by their owner.
ALTER FUNCTION search_partition(bigint, bigint) SECURITY DEFINER SET search_path = public, pg_temp;
