import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.Stores;

/**
 * Kafka Streams: windows of 10 s by device with a grace of 35 s (disorder and lateness), sent on
 * their close; stores in memory and without change logs, which is in its favour. Windows of 60 s
 * by device and the sums by grid are made in the task that owns the partition, when a pane is
 * over; the roll-up in one task behind a repartition topic, which waits for all partitions. Many
 * rows go into one record.
 */
public final class Streams {
    private static final Duration PANE = Duration.ofSeconds(10);
    private static final Duration WAIT = Duration.ofSeconds(35);
    /** Longer than the wait: the records that end the log are two minutes ahead of it. */
    private static final Duration KEPT = Duration.ofSeconds(170);
    private static final long PANE_MS = PANE.toMillis();
    private static final int HOP_PANES = 6;
    private static final long WAIT_MS = WAIT.toMillis();
    private static final int ROWS = 500;
    private static final String[] LEVELS = {"grid", "street", "district", "city"};
    private static final int[] DIGITS = {15, 9, 6, 4};
    private static final String PROGRESS = "";

    private static final CountDownLatch DONE = new CountDownLatch(1);
    private static final Set<Integer> ENDED = ConcurrentHashMap.newKeySet();

    /** A reading (n is 1), a cell of a pane, or a task's progress. */
    static final class Cell {
        String device;
        String place = "";
        long start;
        long n;
        double total;
        double low = Double.POSITIVE_INFINITY;
        double high = Double.NEGATIVE_INFINITY;

        Cell add(Cell other) {
            place = other.place;
            n += other.n;
            total += other.total;
            low = Math.min(low, other.low);
            high = Math.max(high, other.high);
            return this;
        }
    }

    /** Readings as JSON; null where a record is none. */
    static final class Readings implements Deserializer<Cell> {
        private final JsonFactory json = new JsonFactory();

        @Override
        public Cell deserialize(String topic, byte[] value) {
            Cell cell = new Cell();
            try (JsonParser parser = json.createParser(value)) {
                parser.nextToken();
                while (parser.nextToken() == JsonToken.FIELD_NAME) {
                    String name = parser.currentName();
                    JsonToken token = parser.nextToken();
                    if (name.equals("device") && token == JsonToken.VALUE_STRING) {
                        cell.device = parser.getText();
                    } else if (name.equals("place") && token == JsonToken.VALUE_STRING) {
                        cell.place = parser.getText();
                    } else if (name.equals("t") && token == JsonToken.VALUE_NUMBER_INT) {
                        cell.start = parser.getLongValue();
                    } else if (name.equals("value") && token.isNumeric()) {
                        cell.total = cell.low = cell.high = parser.getDoubleValue();
                        cell.n = 1;
                    } else {
                        parser.skipChildren();
                    }
                }
            } catch (IOException malformed) {
                return null;
            }
            boolean whole = cell.n == 1 && cell.device != null && cell.start != 0 && !cell.place.isEmpty();
            return whole ? cell : null;
        }
    }

    private static Serde<Cell> cells() {
        Serializer<Cell> out = (topic, cell) -> {
            byte[] place = cell.place.getBytes(StandardCharsets.US_ASCII);
            return ByteBuffer.allocate(40 + place.length).putLong(cell.start).putLong(cell.n)
                    .putDouble(cell.total).putDouble(cell.low).putDouble(cell.high).put(place).array();
        };
        Deserializer<Cell> in = (topic, bytes) -> {
            if (bytes == null) {
                return null;
            }
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            Cell cell = new Cell();
            cell.start = buffer.getLong();
            cell.n = buffer.getLong();
            cell.total = buffer.getDouble();
            cell.low = buffer.getDouble();
            cell.high = buffer.getDouble();
            cell.place = new String(bytes, 40, bytes.length - 40, StandardCharsets.US_ASCII);
            return cell;
        };
        return Serdes.serdeFrom(out, in);
    }

    /** Panes of one level, which become windows of 10 s and of 60 s. */
    static final class Level {
        private final String name;
        private final boolean tumbles;
        private final boolean hops;
        private final ArrayDeque<Map<String, Cell>> recent = new ArrayDeque<>();
        private long lastEnd = Long.MIN_VALUE;

        Level(String name, boolean tumbles, boolean hops) {
            this.name = name;
            this.tumbles = tumbles;
            this.hops = hops;
        }

        boolean waits() {
            return recent.stream().anyMatch(pane -> !pane.isEmpty());
        }

        void close(long end, Map<String, Cell> pane, Rows rows) {
            if (end > lastEnd + PANE_MS) {
                recent.clear();
            }
            lastEnd = end;
            if (tumbles) {
                pane.forEach((key, cell) -> rows.add(name, 10, key, end - PANE_MS, cell));
            }
            if (!hops) {
                return;
            }
            recent.addLast(pane);
            if (recent.size() > HOP_PANES) {
                recent.removeFirst();
            }
            Map<String, Cell> merged = new HashMap<>();
            for (Map<String, Cell> one : recent) {
                one.forEach((key, cell) -> merged.computeIfAbsent(key, k -> new Cell()).add(cell));
            }
            merged.forEach((key, cell) -> rows.add(name, 60, key, end - HOP_PANES * PANE_MS, cell));
        }
    }

    /** Rows, sent many in a record. */
    static final class Rows {
        private final ProcessorContext<String, byte[]> context;
        private final StringBuilder text = new StringBuilder();
        private int count;

        Rows(ProcessorContext<String, byte[]> context) {
            this.context = context;
        }

        void add(String level, int window, String key, long start, Cell cell) {
            text.append(count == 0 ? "" : "\n").append(level).append(',').append(window).append(',')
                    .append(key).append(',').append(start).append(',').append(cell.n).append(',')
                    .append(cell.total).append(',').append(cell.low).append(',').append(cell.high);
            if (++count == ROWS) {
                send();
            }
        }

        void send() {
            if (count > 0) {
                byte[] value = text.toString().getBytes(StandardCharsets.UTF_8);
                context.forward(new Record<>(null, value, 0L));
                text.setLength(0);
                count = 0;
            }
        }
    }

    /** Ends panes in their order: those with cells, and the empty ones that windows still need. */
    abstract static class Panes<K> extends ContextualProcessor<K, Cell, String, byte[]> {
        protected final TreeMap<Long, Map<String, Cell>> open = new TreeMap<>();
        private long lastEnd = Long.MIN_VALUE;

        abstract boolean waits();

        abstract void closePane(long end, Map<String, Cell> pane);

        void put(String key, Cell cell) {
            open.computeIfAbsent(cell.start - Math.floorMod(cell.start, PANE_MS), s -> new HashMap<>())
                    .computeIfAbsent(key, k -> new Cell()).add(cell);
        }

        void closeUntil(long until) {
            while (true) {
                long end = open.isEmpty() ? Long.MAX_VALUE : open.firstKey() + PANE_MS;
                if (waits()) {
                    end = Math.min(end, lastEnd + PANE_MS);
                }
                if (end > until) {
                    return;
                }
                Map<String, Cell> pane = open.remove(end - PANE_MS);
                lastEnd = end;
                closePane(end, pane == null ? Map.of() : pane);
            }
        }
    }

    /** Windows of devices: their rows, and cells by grid for the roll-up. */
    static final class Devices extends Panes<Windowed<String>> {
        private final Level level;
        private final Serializer<Cell> serializer = cells().serializer();
        private Rows rows;

        Devices(boolean hops) {
            level = new Level("device", true, hops);
        }

        @Override
        public void init(ProcessorContext<String, byte[]> context) {
            super.init(context);
            rows = new Rows(context);
            context.schedule(Duration.ofMillis(PANE_MS), PunctuationType.STREAM_TIME, time -> {
                int partition = context.taskId().partition();
                long until = ENDED.contains(partition) ? Long.MAX_VALUE : time - WAIT_MS - PANE_MS;
                closeUntil(until == Long.MAX_VALUE ? time - WAIT_MS : until);
                rows.send();
                Cell progress = new Cell();
                progress.start = until;
                progress.n = partition;
                progress.place = PROGRESS;
                forward(progress);
            });
        }

        @Override
        public void process(Record<Windowed<String>, Cell> record) {
            Cell cell = record.value();
            cell.start = record.key().window().start();
            put(record.key().key(), cell);
        }

        @Override
        boolean waits() {
            return level.waits();
        }

        @Override
        void closePane(long end, Map<String, Cell> pane) {
            level.close(end, pane, rows);
            Map<String, Cell> grids = new HashMap<>();
            pane.values().forEach(c -> grids.computeIfAbsent(c.place, k -> new Cell()).add(c));
            grids.values().forEach(cell -> {
                cell.start = end - PANE_MS;
                forward(cell);
            });
        }

        private void forward(Cell cell) {
            byte[] value = serializer.serialize("", cell);
            context().forward(new Record<>(cell.place, value, 0L));
        }
    }

    /** The roll-up of all partitions. */
    static final class RollUp extends Panes<String> {
        private final List<Level> levels = new ArrayList<>();
        private final Map<Long, Long> progress = new HashMap<>();
        private final int partitions;
        private Rows rows;

        RollUp(int partitions) {
            this.partitions = partitions;
            for (String name : LEVELS) {
                levels.add(new Level(name, true, true));
            }
        }

        @Override
        public void init(ProcessorContext<String, byte[]> context) {
            super.init(context);
            rows = new Rows(context);
        }

        @Override
        public void process(Record<String, Cell> record) {
            Cell cell = record.value();
            if (!cell.place.equals(PROGRESS)) {
                put(cell.place, cell);
                return;
            }
            progress.put(cell.n, cell.start);
            if (progress.size() < partitions) {
                return;
            }
            long until = progress.values().stream().mapToLong(x -> x).min().getAsLong();
            closeUntil(until == Long.MAX_VALUE ? until - 1 : until);
            rows.send();
            if (until == Long.MAX_VALUE) {
                DONE.countDown();
            }
        }

        @Override
        boolean waits() {
            return levels.get(0).waits();
        }

        @Override
        void closePane(long end, Map<String, Cell> pane) {
            Map<String, Cell> below = pane;
            for (int i = 0; i < LEVELS.length; i++) {
                int digits = DIGITS[i];
                Map<String, Cell> above = new HashMap<>();
                below.forEach((key, cell) ->
                        above.computeIfAbsent(key.substring(0, digits), k -> new Cell()).add(cell));
                levels.get(i).close(end, above, rows);
                below = above;
            }
        }
    }

    public static void main(String[] args) throws Exception {
        String output = asked(args[0], "output");
        int partitions = Integer.parseInt(asked(args[0], "partitions"));
        boolean hops = asked(args[0], "device_hops").equals("true");
        Serde<Cell> readings = Serdes.serdeFrom(cells().serializer(), new Readings());
        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, Cell> source = builder.stream(
                asked(args[0], "input"),
                Consumed.with(Serdes.String(), readings).withTimestampExtractor((record, time) -> {
                    Cell cell = (Cell) record.value();
                    if (cell != null && cell.device.startsWith("end-")) {
                        ENDED.add(record.partition());
                    }
                    return cell == null ? Math.max(time, 0) : cell.start;
                }));
        TimeWindows panes = TimeWindows.ofSizeAndGrace(PANE, WAIT);
        KStream<Windowed<String>, Cell> closed = source
                .filter((key, cell) -> cell != null)
                .groupByKey(Grouped.with(Serdes.String(), cells()))
                .windowedBy(panes)
                .emitStrategy(EmitStrategy.onWindowClose())
                .aggregate(Cell::new, (key, cell, into) -> into.add(cell),
                        Materialized.<String, Cell>as(Stores.inMemoryWindowStore(
                                        "panes", KEPT, PANE, false))
                                .withKeySerde(Serdes.String()).withValueSerde(cells())
                                .withCachingDisabled().withLoggingDisabled())
                .toStream();
        Serde<String> keys = Serdes.String();
        Serde<byte[]> bytes = Serdes.ByteArray();
        // Rows have no key; cells on their way to the roll-up have their grid's.
        KStream<String, byte[]> made = closed.process(() -> new Devices(hops));
        made.filter((key, value) -> key == null).to(output, Produced.with(keys, bytes));
        made.filter((key, value) -> key != null)
                .repartition(Repartitioned.with(keys, bytes).withName("cells").withNumberOfPartitions(1))
                .mapValues(value -> cells().deserializer().deserialize("", value))
                .process(() -> new RollUp(partitions))
                .to(output, Produced.with(keys, bytes));

        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, asked(args[0], "group"));
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, asked(args[0], "servers"));
        settings.put(StreamsConfig.STATE_DIR_CONFIG, asked(args[0], "folder") + "/state");
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 10_000);
        settings.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.OPTIMIZE);
        // Else closed windows are looked for once a second alone, and the last ones never.
        settings.put("__emit.interval.ms.kstreams.windowed.aggregation__", 0L);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 10_000);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.FETCH_MIN_BYTES_CONFIG), 65_536);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 50);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 1 << 20);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BUFFER_MEMORY_CONFIG), 128 << 20);
        KafkaStreams streams = new KafkaStreams(builder.build(settings), settings);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        streams.start();
        DONE.await();
        streams.close(Duration.ofSeconds(60));
    }

    private static String asked(String text, String name) throws IOException {
        try (JsonParser parser = new JsonFactory().createParser(text)) {
            while (parser.nextToken() != null) {
                if (name.equals(parser.currentName()) && parser.currentToken() != JsonToken.FIELD_NAME) {
                    return parser.getText();
                }
            }
        }
        throw new IllegalArgumentException(name);
    }
}
