// Kafka Streams, two threads: a processor for each partition that gathers rows and writes them by batched JDBC.

import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

final class KafkaStreams {
    private static final int BATCH = 5_000;
    private static final Duration AT_LATEST = Duration.ofMillis(100);
    private static final int FETCH_BYTES = 4 * 1024 * 1024;
    private static final int HEADER = 5;

    private static final long EVENTS = Long.parseLong(System.getenv("PEER_EVENTS"));
    private static final AtomicLong WRITTEN = new AtomicLong();
    private static final AtomicBoolean FETCHING = new AtomicBoolean();
    private static final CountDownLatch DONE = new CountDownLatch(1);

    public static void main(String[] arguments) throws Exception {
        Schema schema = new Schema.Parser().parse(new File(arguments[0]));
        String upsert = statement(Path.of(arguments[1]));
        Reference reference = Reference.load();

        Topology topology = new Topology();
        topology.addSource("events", Serdes.ByteArray().deserializer(), decoder(schema), System.getenv("PEER_TOPIC"));
        topology.addProcessor("index", () -> new Index(reference, upsert), "events");

        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, System.getenv("PEER_GROUP"));
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, System.getenv("PEER_KAFKA"));
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[2]);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        // Offsets are committed when a batch has been written, and only then.
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, Duration.ofHours(1).toMillis());
        settings.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 2 * BATCH);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 2 * BATCH);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), FETCH_BYTES);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.FETCH_MAX_BYTES_CONFIG), 4 * FETCH_BYTES);

        var streams = new org.apache.kafka.streams.KafkaStreams(topology, settings);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        streams.start();
        DONE.await();
        say("done");
        System.in.readAllBytes();
        Runtime.getRuntime().halt(0);
    }

    private static void say(String event) {
        System.out.println("{\"event\": \"" + event + "\"}");
        System.out.flush();
    }

    private static Connection connect() throws SQLException {
        return DriverManager.getConnection(System.getenv("PEER_JDBC"));
    }

    private static String statement(Path file) throws IOException {
        return Files.readAllLines(file).stream()
                .filter(line -> !line.startsWith("--"))
                .collect(Collectors.joining("\n"))
                .replace("%s", "?");
    }

    private static Deserializer<GenericRecord> decoder(Schema schema) {
        GenericDatumReader<GenericRecord> reader = new GenericDatumReader<>(schema);
        ThreadLocal<BinaryDecoder> reused = new ThreadLocal<>();
        return (topic, value) -> {
            reused.set(DecoderFactory.get().binaryDecoder(value, HEADER, value.length - HEADER, reused.get()));
            try {
                return reader.read(null, reused.get());
            } catch (IOException error) {
                throw new IllegalArgumentException("not a case event");
            }
        };
    }

    /** Who may send, and the KLE numbers with their titles. */
    private record Reference(Set<String> senders, Map<String, String> titles) {
        static Reference load() throws SQLException {
            Set<String> senders = new HashSet<>();
            Map<String, String> titles = new HashMap<>();
            try (Connection connection = connect(); var statement = connection.createStatement()) {
                ResultSet rows = statement.executeQuery("SELECT authority, system FROM sender_agreement");
                while (rows.next()) {
                    senders.add(rows.getString(1) + "/" + rows.getString(2));
                }
                rows = statement.executeQuery("SELECT number, title FROM kle_subject");
                while (rows.next()) {
                    titles.put(rows.getString(1), rows.getString(2));
                }
            }
            return new Reference(senders, titles);
        }
    }

    private record Row(
            String authority, String system, UUID caseId, long registeredAt, String userKey, String title, String kle,
            String kleTitle, String state, String citizen, boolean hidden, String link) {}

    /** One partition: the newest row of each case until the batch is full, or old enough. */
    private static final class Index implements Processor<byte[], GenericRecord, Void, Void> {
        private final Reference reference;
        private final String upsert;
        // A rewritten batch is one statement, which must not meet a case twice.
        private final Map<String, Row> batch = new HashMap<>();
        private ProcessorContext<Void, Void> context;
        private Connection connection;
        private PreparedStatement statement;
        private int waiting;

        Index(Reference reference, String upsert) {
            this.reference = reference;
            this.upsert = upsert;
        }

        @Override
        public void init(ProcessorContext<Void, Void> context) {
            this.context = context;
            try {
                connection = connect();
                connection.setAutoCommit(false);
                statement = connection.prepareStatement(upsert);
            } catch (SQLException error) {
                throw new IllegalStateException(error.getSQLState());
            }
            context.schedule(AT_LATEST, PunctuationType.WALL_CLOCK_TIME, now -> write());
            if (FETCHING.compareAndSet(false, true)) {
                say("fetching");
            }
        }

        @Override
        public void process(Record<byte[], GenericRecord> record) {
            Row row = row(record.value());
            if (row != null) {
                String key = row.authority + "/" + row.system + "/" + row.caseId;
                batch.merge(key, row, (old, current) -> current.registeredAt > old.registeredAt ? current : old);
            }
            if (++waiting >= BATCH) {
                write();
            }
        }

        private Row row(GenericRecord event) {
            String authority = text(event, "authority");
            String system = text(event, "system");
            String kle = text((GenericRecord) event.get("classification"), "kle");
            String kleTitle = reference.titles.get(kle);
            if (kleTitle == null || !reference.senders.contains(authority + "/" + system)) {
                return null;
            }
            GenericRecord properties = (GenericRecord) event.get("properties");
            List<GenericRecord> steps = items(event, "progress");
            String citizen = null;
            for (GenericRecord party : items(event, "parties")) {
                if (text(party, "role").equals("PRIMARY")) {
                    citizen = text(party, "id");
                    break;
                }
            }
            return new Row(
                    authority, system, UUID.fromString(text(event, "case_id")), (long) event.get("registered_at"),
                    text(properties, "user_key"), text(properties, "title"), kle, kleTitle,
                    text(steps.get(steps.size() - 1), "state"), citizen,
                    (boolean) ((GenericRecord) event.get("access")).get("hidden_from_citizen"), text(properties, "link"));
        }

        private static String text(GenericRecord record, String name) {
            Object value = record.get(name);
            return value == null ? null : value.toString();
        }

        @SuppressWarnings("unchecked")
        private static List<GenericRecord> items(GenericRecord event, String group) {
            return (List<GenericRecord>) ((GenericRecord) event.get(group)).get("items");
        }

        private void write() {
            if (waiting == 0) {
                return;
            }
            try {
                for (Row row : batch.values()) {
                    statement.setString(1, row.authority);
                    statement.setString(2, row.system);
                    statement.setObject(3, row.caseId);
                    statement.setLong(4, row.registeredAt);
                    statement.setString(5, row.userKey);
                    statement.setString(6, row.title);
                    statement.setString(7, row.kle);
                    statement.setString(8, row.kleTitle);
                    statement.setString(9, row.state);
                    statement.setString(10, row.citizen);
                    statement.setBoolean(11, row.hidden);
                    statement.setString(12, row.link);
                    statement.addBatch();
                }
                statement.executeBatch();
                connection.commit();
            } catch (SQLException error) {
                // Not its text: that may quote a row.
                throw new IllegalStateException(error.getSQLState());
            }
            context.commit();
            long written = WRITTEN.addAndGet(waiting);
            batch.clear();
            waiting = 0;
            if (written == EVENTS) {
                DONE.countDown();
            }
        }

        @Override
        public void close() {
            try {
                connection.close();
            } catch (SQLException error) {
                throw new IllegalStateException(error.getSQLState());
            }
        }
    }
}
