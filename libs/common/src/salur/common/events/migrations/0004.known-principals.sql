-- What the registry has said of those who work here; every service keeps its own copy to answer requests by.
-- `grants` as in the event. `administers`: holds the role administrator.
CREATE TABLE known_principal (
    principal_id text COLLATE "C" PRIMARY KEY,
    version      integer NOT NULL,
    status       text NOT NULL,
    grants       jsonb NOT NULL,
    device_bound boolean NOT NULL,
    devices      text[] NOT NULL,
    administers  boolean NOT NULL
);
CREATE INDEX known_principal_administers ON known_principal (principal_id) WHERE administers;
